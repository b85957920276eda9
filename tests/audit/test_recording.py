"""Entries: in the transaction of the change, with it or not at all."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DataError, transaction

from audit.encoding.canonical import EncodingRefusedError
from audit.encoding.commitment import Opening, opens
from audit.models import PLATFORM_TENANT, AppendOnlyError, Event
from audit.registry import Action, Registry, Severity, UnknownActionError
from audit.services import Context, Outcome, Target, audited, record
from audit.services.apart import record_denied, record_failed, record_read
from audit.tree.hashes import leaf_hash
from kernel import db
from kernel.authz import Principal, PrincipalKind, current_principal, set_principal
from kernel.http import context as request_context
from kernel.tenancy import tenant_context
from tests.audit.logs import change, rows, say

PERSON = Context("staff", "usr_1", "usr_2", "req_12345678", "192.0.2.7", "curl/8")


def _leaf(event_id: UUID) -> dict[str, object]:
    return json.loads(bytes(Event.objects.get(id=event_id).leaf))


def test_record__change__is_stored_with_columns_equal_to_the_leaf(tenant_id: UUID) -> None:
    receipt = change(context=PERSON, more_targets=[Target("other", "oth_1")])

    event = Event.objects.get(id=receipt.event_id)
    leaf = json.loads(bytes(event.leaf))
    assert bytes(event.leaf_hash) == receipt.leaf_hash == leaf_hash(bytes(event.leaf))
    assert leaf["id"] == str(event.id)
    assert leaf["tenant"] == str(tenant_id) == str(event.tenant_id)
    assert (leaf["action"], leaf["schema"], leaf["stream"]) == ("sample.renamed", 1, 0)
    assert leaf["actor"] == {"type": "staff", "id": "usr_1", "on_behalf_of": "usr_2"}
    assert leaf["targets"] == [
        {"type": "sample", "id": "smp_1"},
        {"type": "other", "id": "oth_1"},
    ]
    assert leaf["changes"] == {"before": {"name": "old"}, "after": {"name": "new"}}
    assert (event.actor_id, event.on_behalf_of) == ("usr_1", "usr_2")
    assert (event.target_type, event.target_id) == ("sample", "smp_1")
    assert (event.outcome, event.request_id) == ("success", "req_12345678")


def test_record__personal_fields__stand_as_commitments_that_open(tenant_id: UUID) -> None:
    receipt = change(
        before={"email": "a@example.org", "name": "x"},
        after={"email": "b@example.org", "name": "x"},
        subject_id="usr_9",
        reason="asked by phone",
        context=PERSON,
    )

    leaf = _leaf(receipt.event_id)
    openings = dict(
        rows(
            "SELECT subject_id, doc FROM audit_pii WHERE event_id = %s ORDER BY 1", receipt.event_id
        )
    )
    assert set(openings) == {"usr_1", "usr_9"}
    assert "example.org" not in json.dumps(leaf)
    assert "192.0.2.7" not in json.dumps(leaf)
    assert "phone" not in json.dumps(leaf)
    subject = json.loads(openings["usr_9"])
    salt, value = subject["changes.after.email"]
    assert value == "b@example.org"
    committed = leaf["changes"]["after"]["email"]
    assert opens("changes.after.email", committed, Opening(bytes.fromhex(salt), value))
    assert set(json.loads(openings["usr_1"])) == {
        "context.ip",
        "context.user_agent",
        "context.reason",
    }


def test_record__secret_fields__are_masked(tenant_id: UUID) -> None:
    receipt = change(before=None, after={"pin": "1234", "password": "hunter2", "name": "n"})
    leaf = _leaf(receipt.event_id)
    assert leaf["changes"]["after"] == {"pin": "***", "password": "***", "name": "n"}


def test_record__equal_fields__are_left_out(tenant_id: UUID) -> None:
    receipt = change(before={"a": 1, "b": 2}, after={"a": 1, "b": 3, "c": Decimal("1.5")})
    assert _leaf(receipt.event_id)["changes"] == {"before": {"b": 2}, "after": {"b": 3, "c": "1.5"}}


def test_record__rolled_back__leaves_no_entry(tenant_id: UUID) -> None:
    with pytest.raises(RuntimeError, match="undo"):
        _undone(audited)
    assert Event.objects.count() == 0
    change()
    assert Event.objects.count() == 1


def _undone(block: Callable[[], AbstractContextManager[None]]) -> None:
    with block():
        say("undone")
        raise RuntimeError("undo")


def test_record__nested_blocks__are_one_insert_at_the_end(tenant_id: UUID) -> None:
    with audited():
        with audited():
            say("one")
        assert Event.objects.count() == 0
        say("two")
    assert Event.objects.count() == 2
    assert len(rows("SELECT DISTINCT xid FROM audit_event WHERE tenant_id = %s", tenant_id)) == 1


def test_record__inside_a_savepoint__goes_with_it(tenant_id: UUID) -> None:
    with audited():
        say("kept")
        with pytest.raises(RuntimeError, match="undo"):
            _undone(lambda: transaction.atomic(using="default"))
    names = [json.loads(bytes(one.leaf))["changes"]["after"]["name"] for one in Event.objects.all()]
    assert names == ["kept"]


def test_record__in_a_transaction_of_django__is_not_lost(tenant_id: UUID) -> None:
    with transaction.atomic(using="default"):
        say()
    assert Event.objects.count() == 1


def test_record__outside_a_transaction__is_refused(tenant_id: UUID) -> None:
    with pytest.raises(db.TransactionRequiredError):
        say()


def test_record__unknown_action__is_refused(tenant_id: UUID) -> None:
    with pytest.raises(UnknownActionError), audited():
        record(action="nobody.registered")


def test_record__float__is_refused_and_so_is_the_change(tenant_id: UUID) -> None:
    with pytest.raises(EncodingRefusedError), audited():
        say(after={"rate": 0.1})
    assert Event.objects.count() == 0


def test_record__changes_beyond_the_leaf__stand_in_a_blob_under_their_digest(
    tenant_id: UUID,
) -> None:
    receipt = change("x" * 70_000)
    (body,) = rows("SELECT body FROM audit_blob WHERE event_id = %s", receipt.event_id)[0]
    assert len(body) > 70_000
    digest = rows("SELECT encode(sha256(%s), 'hex')", bytes(body))[0][0]
    assert _leaf(receipt.event_id)["changes"] == {"sha256": digest}


def test_record__without_a_tenant__goes_to_the_instance_log() -> None:
    target = f"smp_{uuid4().hex}"
    change(target_id=target)
    found = rows("SELECT tenant_id FROM audit_event WHERE target_id = %s", target)
    assert found == [(PLATFORM_TENANT,)]


def test_record__several_tenants__each_lands_in_its_own(tenant_id: UUID) -> None:
    other = uuid4()
    with audited():
        say()
        say(tenant_id=other)
        with tenant_context(other):
            say()
    assert Event.objects.count() == 1
    with tenant_context(other):
        assert Event.objects.count() == 2


def test_record__running_request__gives_actor_and_request_id(tenant_id: UUID) -> None:
    request = request_context.RequestContext("req_abcdefgh")
    request.client_ip, request.user_agent = "198.51.100.4", "agent"
    actor = uuid4()
    before = current_principal()
    request_context.enter(request)
    set_principal(Principal(PrincipalKind.TENANT_KEY, actor, tenant_id=tenant_id))
    try:
        receipt = change()
    finally:
        request_context.leave()
        set_principal(before)
    event = Event.objects.get(id=receipt.event_id)
    assert (event.actor_type, event.actor_id) == ("tenant_key", str(actor))
    assert event.request_id == "req_abcdefgh"


@pytest.mark.parametrize(
    ("call", "action", "outcome"),
    [
        (record_denied, "access.denied", Outcome.DENIED),
        (record_failed, "sample.renamed", Outcome.FAILED),
        (record_read, "data.read", Outcome.SUCCESS),
    ],
)
def test_apart__attempt__has_its_own_transaction(
    tenant_id: UUID, call: object, action: str, outcome: Outcome
) -> None:
    call(action=action, target_id="/api/v1/keys")
    event = Event.objects.get()
    assert (event.action, event.outcome, event.target_id) == (action, outcome, "/api/v1/keys")


def test_registry__duplicate_or_malformed__is_refused() -> None:
    registry = Registry()
    registry.register(Action("a.b", Severity.INFO, "x"))
    with pytest.raises(ValueError, match="registered twice"):
        registry.register(Action("a.b", Severity.INFO, "x"))
    for name in ("single", "A.b", "a..b", "a.b ", ""):
        with pytest.raises(ValueError, match="dotted"):
            Action(name, Severity.INFO, "x")


def test_orm__write__is_refused(tenant_id: UUID) -> None:
    change()
    event = Event.objects.get()
    with pytest.raises(AppendOnlyError):
        event.save()
    with pytest.raises(AppendOnlyError):
        event.delete()


def test_record__text_with_a_nul__is_refused_and_never_cut_short(tenant_id: UUID) -> None:
    with pytest.raises((DataError, ValueError)), audited():
        say(target_id="smp_1\x00forged")
    with pytest.raises((DataError, ValueError)), audited():
        say(subject_id="usr_1\x00", before={"email": "a@b.c"}, after={"email": "d@e.f"})
    assert Event.objects.count() == 0


@pytest.mark.parametrize("context", [PERSON, Context("system")])
def test_record__one_entry__passes_through_the_prepared_statement(
    tenant_id: UUID, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    prepared = db.prepared_last

    def watched(name: str, *statement: Any) -> None:
        ran.append(name)
        prepared(name, *statement)

    monkeypatch.setattr(db, "prepared_last", watched)
    receipt = change(name='"quoted" \\ ü 漢 \U0001f600', target_id="sm\\p'1", context=context)

    assert ran == ["audit_entry_opened" if context.ip else "audit_entry"]
    event = Event.objects.get(id=receipt.event_id)
    assert bytes(event.leaf_hash) == receipt.leaf_hash
    assert event.target_id == "sm\\p'1"
    opened = rows("SELECT subject_id FROM audit_pii WHERE event_id = %s", receipt.event_id)
    assert opened == ([("usr_1",)] if context.ip else [])


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC),
        datetime(1970, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(999, 1, 1, tzinfo=UTC),
    ],
)
def test_record__any_moment__is_the_same_in_bytes_and_column(
    tenant_id: UUID, moment: datetime
) -> None:
    receipt = change(occurred_at=moment)
    event = Event.objects.get(id=receipt.event_id)
    assert event.occurred_at == moment
    text = f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"
    assert _leaf(receipt.event_id)["at"] == text
