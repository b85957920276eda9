"""Entries of the tenants' own applications: declared, checked, recorded once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from audit.services.declaring import declare
from kernel import db
from tests.audit.logs import rows
from tests.guests import Answer, Guest, call, inside, new_guest, new_key
from tests.waiting import until

WAITING = """
SELECT FROM pg_locks WHERE NOT granted AND pid IN (
  SELECT pid FROM pg_locks
   WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "string"},
        "email": {"type": "string", "x-personal": True},
    },
    "required": ["amount"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def guest() -> Guest:
    made = new_guest()
    answer = call(
        "POST", "audit/schemas", made.key, {"action": "invoice.approved", "schema": SCHEMA}
    )
    assert (answer.status, answer.body["version"]) == (201, 1)
    return made


def one(**facts: Any) -> dict[str, Any]:
    defaults = {
        "action": "invoice.approved",
        "actor": {"type": "user", "id": "u-1"},
        "targets": [{"type": "invoice", "id": "inv-1"}],
        "metadata": {"amount": "12.50", "email": "kim@example.org"},
    }
    return {**defaults, **facts}


def nested(depth: int) -> dict[str, Any]:
    return {"items": nested(depth - 1)} if depth else {}


def send(guest: Guest, body: Any, **headers: str) -> Answer:
    return call("POST", "audit/events", guest.key, body, **headers)


def own_stream(guest: Guest) -> int:
    query = "SELECT count(*) FROM audit_event WHERE tenant_id = %s AND stream = 1"
    return int(rows(query, guest.id)[0][0])


def test_ingest__one_entry__is_readable_with_its_schema_version(guest: Guest) -> None:
    answer = send(guest, one(ip="192.0.2.9", occurred_at="2026-01-02T03:04:05Z"))
    assert answer.status == 201
    (receipt,) = answer.body["items"]
    assert not receipt["duplicate"]
    item = call("GET", f"audit/events/{receipt['id']}", guest.key).body
    assert (item["stream"], item["schema"], item["action"]) == ("tenant", 1, "invoice.approved")
    assert item["actor"] == {"type": "user", "id": "u-1", "on_behalf_of": ""}
    assert item["context"]["metadata"] == {"amount": "12.50", "email": "kim@example.org"}
    assert item["context"]["ip"] == "192.0.2.9"
    assert item["occurred_at"] == "2026-01-02T03:04:05.000000Z"
    assert item["leaf_hash"] == receipt["leaf_hash"]


def test_ingest__personal_property__is_not_in_the_hashed_bytes(guest: Guest) -> None:
    send(guest, one(metadata={"amount": "1", "email": "unique-person@example.org"}))
    leaves = rows(
        "SELECT convert_from(leaf, 'UTF8') FROM audit_event WHERE tenant_id = %s", guest.id
    )
    assert not any("unique-person" in leaf for (leaf,) in leaves)


def test_ingest__odd_names__keep_their_spelling_and_open_again(guest: Guest) -> None:
    schema = {"properties": {"user.Name": {"x-personal": True}}}
    call("POST", "audit/schemas", guest.key, {"action": "odd.done", "schema": schema})
    metadata = {"user.Name": "Kim", "orderId": "7", "x-y": {"é": "deep"}, "path": "c:windows"}
    answer = send(guest, one(action="odd.done", metadata=metadata))
    item = call("GET", f"audit/events/{answer.body['items'][0]['id']}", guest.key).body
    odd = {"x-y": [{"key": "é", "value": "deep"}]}
    assert item["context"]["metadata"] == {**metadata, **odd}


def test_ingest__external_id_again__records_nothing_and_names_the_first(guest: Guest) -> None:
    name = uuid4().hex
    before = own_stream(guest)
    first = send(guest, [one(external_id=name), one(external_id=name)]).body["items"]
    again = send(guest, {"events": [one(external_id=name)]}).body["items"]
    assert own_stream(guest) == before + 1
    assert [item["duplicate"] for item in first + again] == [False, True, True]
    assert {item["id"] for item in first + again} == {first[0]["id"]}


def test_ingest__idempotency_key_again__gives_the_first_answer(guest: Guest) -> None:
    before = own_stream(guest)
    key = uuid4().hex
    answers = [send(guest, one(), **{"Idempotency-Key": key}) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert own_stream(guest) == before + 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (one(action="nobody.declared"), "/events/0/action"),
        (one(metadata={"email": "a"}), "/events/0/metadata"),
        (one(metadata={"amount": 5}), "/events/0/metadata/amount"),
        (one(metadata={"amount": "1", "other": "x"}), "/events/0/metadata"),
        (one(metadata={"amount": "x" * 501}), "/events/0/metadata/amount"),
        (one(metadata={"k" * 41: "x"}), f"/events/0/metadata/{'k' * 41}"),
        (one(actor={"type": "user"}), "/events/0/actor/id"),
        ([], "/events"),
        ({"events": "x"}, "/events"),
    ],
)
def test_ingest__fault__is_named_and_nothing_is_recorded(
    guest: Guest, body: Any, pointer: str
) -> None:
    before = own_stream(guest)
    batch = [one(), body] if isinstance(body, dict) and "action" in body else body
    answer = send(guest, batch)
    expected = pointer.replace("/0/", "/1/") if batch is not body else pointer
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, expected)
    assert own_stream(guest) == before


def test_ingest__a_thousand_and_one__is_too_large(guest: Guest) -> None:
    assert send(guest, [one()] * 1001).status == 413


def test_ingest__a_thousand__are_recorded_at_once(guest: Guest) -> None:
    before = own_stream(guest)
    assert len(send(guest, [one()] * 1000).body["items"]) == 1000
    assert own_stream(guest) == before + 1000


def test_ingest__key_that_may_only_read__is_refused(guest: Guest) -> None:
    issued = new_key(guest.id, "audit:read")
    assert call("POST", "audit/events", issued.text, one()).status == 403


def test_schemas__next_version__keeps_the_former(guest: Guest) -> None:
    body = {"action": "thing.done", "schema": {"type": "object"}, "template": "{actor} did"}
    first = call("POST", "audit/schemas", guest.key, body).body
    same = call("POST", "audit/schemas", guest.key, body).body
    body["schema"] = {"type": "object", "maxProperties": 3}
    second = call("POST", "audit/schemas", guest.key, body).body
    assert (first["version"], same["id"], second["version"]) == (1, first["id"], 2)
    listed = call("GET", "audit/schemas", guest.key).body["items"]
    assert [item["version"] for item in listed if item["action"] == "thing.done"] == [2, 1]
    other = new_guest()
    assert call("GET", "audit/schemas", other.key).body["items"] == []


def test_schemas__two_at_once__are_versions_one_after_the_other(guest: Guest) -> None:
    def declared(most: int) -> int:
        with inside(guest.id):
            schema = {"type": "object", "maxProperties": most}
            return declare(guest.id, action="thing.raced", schema=schema).version

    with ThreadPoolExecutor(1) as pool:
        with db.atomic():
            first = declared(1)
            second = pool.submit(declared, 2)
            until("somebody waits", lambda: rows(WAITING) != [])
        assert (first, second.result()) == (1, 2)
        pool.submit(connections.close_all).result()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "Bad Name", "schema": {}}, "/action"),
        ({"action": "a.b", "schema": {"type": "nonsense"}}, "/schema"),
        ({"action": "a.b", "schema": {"$ref": "http://192.0.2.1/x"}}, "/schema"),
        ({"action": "a.b", "schema": {"properties": {"x": {"pattern": "(a+)+$"}}}}, "/schema"),
        ({"action": "a.b", "schema": {"description": "x" * 20_001}}, "/schema"),
        ({"action": "a.b", "schema": {"items": nested(40)}}, "/schema"),
    ],
)
def test_schemas__fault__is_named(guest: Guest, body: dict[str, Any], pointer: str) -> None:
    answer = call("POST", "audit/schemas", guest.key, body)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, pointer)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (one(occured_at="2026-01-02T03:04:05Z"), "/events/0/occured_at"),
        (one(actor={"type": "user", "id": "u-1", "name": "Kim"}), "/events/0/actor/name"),
        (one(targets=[{"type": "invoice", "id": "1", "x": 1}]), "/events/0/targets/0/x"),
        ({"events": [one()], "dry_run": True}, "/dry_run"),
    ],
)
def test_ingest__member_that_nobody_knows__is_a_fault_and_not_lost(
    guest: Guest, body: Any, pointer: str
) -> None:
    """What was dropped in silence could never be added to the entry."""
    answer = send(guest, body)
    assert answer.status == 400
    assert [one["pointer"] for one in answer.body["errors"]] == [pointer]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"user": {"properties": {"email": {"x-personal": True}}}}},
        {"allOf": [{"properties": {"email": {"x-personal": True}}}]},
        {"x-personal": True},
        {"properties": {"email": {"x-personal": "yes"}}},
        {"properties": {"emails": {"items": {"x-personal": True}}}},
    ],
)
def test_schema__personal_mark_where_nothing_is_committed_to__is_refused(
    guest: Guest, schema: dict[str, Any]
) -> None:
    """It would be in the clear in every entry, for ever."""
    answer = call("POST", "audit/schemas", guest.key, {"action": "user.seen", "schema": schema})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, "/schema")


def test_schema__property_marked_as_not_personal__is_taken(guest: Guest) -> None:
    schema = {"properties": {"email": {"x-personal": True}, "plan": {"x-personal": False}}}
    body = {"action": "user.seen", "schema": schema}
    assert call("POST", "audit/schemas", guest.key, body).status == 201
