"""A tenant's export: complete by its own root, streamed, recorded, nobody else's."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from audit.c2sp.checkpoint import parse_checkpoint
from audit.c2sp.note import parse
from audit.sealing.sealer import Sealer
from audit.tree.frontier import root_of
from audit.tree.hashes import leaf_hash
from tests.audit.logs import changes, rows
from tests.guests import Guest, call, new_guest, new_key


@pytest.fixture
def guest(sealer: Sealer) -> Guest:
    made = new_guest()
    changes(made.id, 1200)
    sealer.drain()
    return made


def exported(guest: Guest) -> Iterator[dict[str, Any]]:
    response = Client().get(
        "/api/v1/audit/export",
        headers={"Authorization": f"Bearer {guest.key}", "Accept": "application/x-ndjson"},
    )
    assert (response.status_code, response.streaming) == (200, True)
    assert response["Content-Type"] == "application/x-ndjson"
    return (json.loads(line) for line in b"".join(response.streaming_content).splitlines())


def test_export__every_place__leads_to_the_signed_root(guest: Guest) -> None:
    manifest, *places = exported(guest)
    assert [place["leaf_index"] for place in places] == list(range(manifest["size"]))
    root = root_of(leaf_hash(place["leaf"].encode()) for place in places)
    checkpoint = parse_checkpoint(parse(manifest["checkpoint"]).text)
    assert (checkpoint.size, checkpoint.root) == (manifest["size"], root)
    assert base64.b64decode(manifest["root"]) == root
    assert {json.loads(place["leaf"])["tenant"] for place in places} == {str(guest.id)}


def test_export__made__is_an_entry(guest: Guest) -> None:
    list(exported(guest))
    found = rows(
        "SELECT outcome FROM audit_event WHERE tenant_id = %s AND action = 'audit.log.exported'",
        guest.id,
    )
    assert found == [("success",)]


def test_export__key_without_the_permission__gets_nothing(guest: Guest) -> None:
    issued = new_key(guest.id, "keys:read")
    answer = call("GET", "audit/export", issued.text)
    assert (answer.status, answer.body["code"]) == (403, "insufficient_permissions")


def test_export__stream_without_entries__is_not_found(guest: Guest) -> None:
    assert call("GET", "audit/export?stream=tenant", guest.key).status == 404
