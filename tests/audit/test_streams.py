"""Streams as their owners make, see, pause, resume and end them."""

from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError
from django.test import Client

from accounts.models import User
from audit.models import PLATFORM_TENANT
from audit.sealing.sealer import Sealer
from audit.streams import services
from kernel import db, ids
from kernel.errors import Invalid
from kernel.sealing import SealError, open_sealed
from kernel.tenancy import across_tenants
from tests.audit.logs import changes, rows
from tests.guests import Guest, call, inside, new_guest, operator_key, system

URL = "https://logs.invalid/in?key=hidden"
WEBHOOK = {"name": "siem", "kind": "webhook", "url": URL}
SPLUNK = {
    "name": "splunk",
    "kind": "splunk",
    "url": "https://splunk.invalid:8088/x",
    "token": "t0k3n",
}


@pytest.fixture
def guest() -> Guest:
    return new_guest("enterprise")


def entries(tenant: UUID, action: str) -> list[tuple[Any, ...]]:
    return rows(
        "SELECT convert_from(leaf, 'UTF8') FROM audit_event WHERE tenant_id = %s AND action = %s "
        "ORDER BY id",
        tenant,
        action,
    )


def test_create__webhook__shows_its_secret_once_and_tells_the_log(guest: Guest) -> None:
    made = call("POST", "audit/streams", guest.key, WEBHOOK)
    assert (made.status, made.body["status"], made.body["logs"]) == (201, "active", "both")
    assert made.body["secret"].startswith("whsec_")
    read = call("GET", f"audit/streams/{made.body['id']}", guest.key)
    assert read.status == 200
    assert read.body == {key: made.body[key] for key in read.body}
    assert "secret" not in read.body
    assert "hidden" not in read.content.decode()
    ((told,),) = entries(guest.id, "audit.stream.created")
    assert '"receiver":"https://logs.invalid"' in told
    assert made.body["secret"] not in told
    assert "hidden" not in told


def test_create__token_of_splunk__rests_sealed_for_its_stream_only(guest: Guest) -> None:
    made = call("POST", "audit/streams", guest.key, SPLUNK).body
    assert "t0k3n" not in str(made)
    assert made["secret"] == ""
    stream = ids.decode("str", made["id"])
    ((sealed,),) = rows("SELECT secret FROM audit_stream WHERE id = %s", stream)
    assert b"t0k3n" not in bytes(sealed)
    assert open_sealed(bytes(sealed), f"audit_stream:{stream}") == b"t0k3n"
    with pytest.raises(SealError):
        open_sealed(bytes(sealed), f"audit_stream:{ids.new_id()}")


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"url": "https://127.0.0.1/"}, "target_refused", "/url"),
        ({"url": "http://logs.invalid/"}, "target_refused", "/url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "target_refused", "/url"),
        ({"kind": "syslog"}, "target_refused", "/url"),
        ({"token": "x"}, "invalid", "/token"),
        ({"kind": "splunk"}, "invalid", "/token"),
        ({"logs": "everything"}, "invalid", "/logs"),
        ({"kind": "ftp"}, "invalid_choice", "/kind"),
        ({"secret": "x"}, "unknown_member", "/secret"),
    ],
)
def test_create__what_is_not_taken__names_the_member(
    guest: Guest, change: dict[str, str], code: str, pointer: str
) -> None:
    refused = call("POST", "audit/streams", guest.key, {**WEBHOOK, **change})
    assert refused.status == 400
    assert (code, pointer) in [(one["code"], one["pointer"]) for one in refused.body["errors"]]
    assert rows("SELECT 1 FROM audit_stream WHERE tenant_id = %s", guest.id) == []


def test_create__beyond_the_most__is_refused(guest: Guest) -> None:
    for _ in range(services.MOST):
        assert call("POST", "audit/streams", guest.key, WEBHOOK).status == 201
    refused = call("POST", "audit/streams", guest.key, WEBHOOK)
    assert (refused.status, refused.code) == (409, "too_many_streams")


def test_list__of_a_tenant__holds_its_own_with_what_waits(guest: Guest, sealer: Sealer) -> None:
    changes(guest.id, 3)
    sealer.drain()
    old = call("POST", "audit/streams", guest.key, WEBHOOK).body
    sealer.drain()
    ((size,),) = rows("SELECT sum(size) FROM audit_head WHERE tenant_id = %s", guest.id)
    new = call("POST", "audit/streams", guest.key, {**WEBHOOK, "start": "now"}).body
    page = call("GET", "audit/streams", guest.key).body
    assert [item["id"] for item in page["items"]] == [new["id"], old["id"]]
    assert [item["waiting"] for item in page["items"]] == [0, size]
    assert page["items"][1]["waiting_since"] is not None
    assert call("GET", "audit/streams", new_guest().key).body["items"] == []


def test_pause_and_resume__change_the_status_and_are_told(guest: Guest) -> None:
    stream = call("POST", "audit/streams", guest.key, WEBHOOK).body["id"]
    paused = call("POST", f"audit/streams/{stream}/pause", guest.key, {"reason": "upkeep"}).body
    assert (paused["status"], paused["reason"]) == ("paused", "asked")
    call("POST", f"audit/streams/{stream}/pause", guest.key, {})
    resumed = call("POST", f"audit/streams/{stream}/resume", guest.key, {}).body
    assert (resumed["status"], resumed["reason"]) == ("active", "")
    assert len(entries(guest.id, "audit.stream.paused")) == 1
    assert len(entries(guest.id, "audit.stream.resumed")) == 1


def test_delete__takes_secret_and_cursor_along_and_leaves_an_entry(
    guest: Guest, sealer: Sealer
) -> None:
    stream = call("POST", "audit/streams", guest.key, {**WEBHOOK, "start": "now"}).body["id"]
    sealer.drain()
    assert call("DELETE", f"audit/streams/{stream}", guest.key).status == 204
    assert call("GET", f"audit/streams/{stream}", guest.key).code == "stream_not_found"
    for table in ("audit_stream_state", "audit_stream_cursor"):
        assert rows(f"SELECT 1 FROM {table} WHERE tenant_id = %s", guest.id) == []
    assert len(entries(guest.id, "audit.stream.deleted")) == 1


def test_stream__of_another_tenant_or_the_instance__is_not_there(guest: Guest) -> None:
    stranger, operator = new_guest(), operator_key()
    made = call("POST", "audit/streams", guest.key, WEBHOOK).body["id"]
    own = call("POST", "audit/streams", operator, {**WEBHOOK, "logs": "everything"})
    assert own.status == 201
    for path, key in ((made, stranger.key), (own.body["id"], guest.key), (made, operator)):
        assert call("GET", f"audit/streams/{path}", key).code == "stream_not_found"
        assert call("DELETE", f"audit/streams/{path}", key).code == "stream_not_found"
    named = {"Innkeeper_Tenant": guest.public_id}
    assert call("GET", f"audit/streams/{made}", operator, **named).status == 200
    assert call("DELETE", f"audit/streams/{own.body['id']}", operator).status == 204
    assert len(entries(PLATFORM_TENANT, "audit.stream.deleted")) >= 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_stream SET url = 'https://thief.example/' WHERE tenant_id = %s",
        "DELETE FROM audit_stream WHERE tenant_id = %s",
    ],
)
def test_stream__changed_without_an_entry__is_refused_at_commit(
    guest: Guest, statement: str
) -> None:
    call("POST", "audit/streams", guest.key, WEBHOOK)
    with (
        inside(guest.id),
        pytest.raises(IntegrityError, match="needs an audit entry"),
        db.atomic(),
        db.cursor() as cursor,
    ):
        cursor.execute(statement, [guest.id])


def test_row_of_everything__for_a_tenant__is_refused_by_the_database(guest: Guest) -> None:
    with (
        system(),
        pytest.raises(IntegrityError, match="audit_stream_check"),
        db.atomic(),
        db.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO audit_stream (id, tenant_id, name, kind, content, scope, url) "
            "VALUES (%s, %s, 'x', 'webhook', 'entries', 'everything', 'x')",
            [ids.new_id(), guest.id],
        )


def test_new_stream__of_a_tenant_with_everything__is_refused_by_the_service(guest: Guest) -> None:
    asked = services.NewStream(name="x", kind="webhook", url=URL, scope="everything")
    with inside(guest.id), pytest.raises(Invalid):
        services.create(asked)


@pytest.fixture
def staff() -> Client:
    client = Client()
    with system(), db.atomic():
        person = User.objects.create_superuser(email=f"{ids.new_id().hex}@example.org")
    with db.use_alias("staff"), across_tenants():
        client.force_login(person)
    return client


def test_pages__of_streams__show_health_and_no_secret_and_pause_with_a_reason(
    staff: Client, guest: Guest
) -> None:
    made = call("POST", "audit/streams", guest.key, {**WEBHOOK, "name": "ours"}).body
    stream = ids.decode("str", made["id"])
    page = staff.get(f"/admin/audit/logstream/?q={guest.public_id}").content.decode()
    assert made["id"] in page
    assert guest.public_id in page
    one = staff.get(f"/admin/audit/logstream/{stream}/change/").content.decode()
    assert "https://logs.invalid" in one
    assert made["secret"] not in page + one
    assert "key=hidden" not in page + one
    asked = {"action": "pause", "_selected_action": [str(stream)], "confirmed": "1", "reason": "x"}
    done = staff.post("/admin/audit/logstream/", asked, follow=True)
    assert "1 stream paused." in done.content.decode()
    assert len(entries(guest.id, "audit.stream.paused")) == 1
