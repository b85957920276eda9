"""Viewer tokens: one tenant's entries, within a filter, for a while, and nothing else."""

from datetime import datetime, timedelta

import pytest

from tests.audit.logs import rows
from tests.guests import call, new_guest


def token(guest: object, **fields: object) -> dict[str, object]:
    answer = call("POST", "audit/viewer-tokens", guest.key, {"label": "auditor", **fields})
    assert answer.status == 201
    return answer.body


def test_viewer__within_its_filter__sees_entries_and_is_recorded() -> None:
    guest = new_guest()
    made = token(guest, filter={"action": "key.*"}, minutes=5)
    life = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert life == timedelta(minutes=5)
    seen = call("GET", "audit/viewer/events", made["token"])
    assert {one["action"] for one in seen.body["items"]} == {"key.created"}
    wider = call("GET", "audit/viewer/events?action=tenant.*", made["token"])
    assert (wider.status, wider.body["items"]) == (200, [])
    told = rows(
        "SELECT count(*) FROM audit_event WHERE tenant_id = %s AND action = 'audit.events.viewed'",
        guest.id,
    )
    assert told == [(2,)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "audit/events"),
        ("GET", "audit/export"),
        ("GET", "audit/feed"),
        ("GET", "keys"),
        ("GET", "tenant"),
        ("POST", "audit/viewer-tokens"),
        ("POST", "audit/events"),
    ],
)
def test_viewer__any_other_route__is_refused(method: str, path: str) -> None:
    made = token(new_guest())
    answer = call(method, path, made["token"], {} if method == "POST" else None)
    assert (answer.status, answer.code) == (403, "insufficient_permissions")


def test_viewer__revoked__is_refused_from_the_next_request_on() -> None:
    guest = new_guest()
    made = token(guest)
    assert call("GET", "audit/viewer/events", made["token"]).status == 200
    path = f"audit/viewer-tokens/{made['id']}/revoke"
    assert call("POST", path, guest.key).status == 204
    assert call("POST", path, guest.key).status == 204
    assert call("GET", "audit/viewer/events", made["token"]).status == 401
    (listed,) = call("GET", "audit/viewer-tokens", guest.key).body["items"]
    assert listed["revoked_at"]
    assert "token" not in listed
    told = rows(
        "SELECT action FROM audit_event WHERE tenant_id = %s AND target_type = 'audit_viewer' "
        "ORDER BY id",
        guest.id,
    )
    assert told == [("audit.viewer.created",), ("audit.viewer.revoked",)]


def test_viewer__an_ordinary_key__does_not_open_the_viewer() -> None:
    assert call("GET", "audit/viewer/events", new_guest().key).status == 404


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"minutes": 1441}, "/minutes"),
        ({"filter": {"q": "x"}}, "/filter/q"),
        ({"filter": {"from": "monday"}}, "/query/from"),
    ],
)
def test_viewer__malformed__is_refused(fields: dict[str, object], pointer: str) -> None:
    body = {"label": "auditor", **fields}
    answer = call("POST", "audit/viewer-tokens", new_guest().key, body)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, pointer)
