"""Streams whose receivers fail: when they wait, and when they are paused."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from audit.sealing import checkpoints
from audit.sealing.sealer import Sealer
from audit.streams import delivery
from tests.audit.logs import rows
from tests.audit.streaming import deliver, failing_once, sealed, state, stream
from tests.receivers import http_receiver

pytestmark = pytest.mark.usefixtures("loopback")


def outbox(tenant: UUID) -> list[tuple[Any, ...]]:
    return rows(
        "SELECT payload->>'reason', payload->>'last_error' FROM kernel_outbox "
        "WHERE tenant_id = %s AND name = 'audit_stream.paused'",
        tenant,
    )


def test_stream__that_failed_for_days__is_paused_with_entry_and_event(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: (500, {}, b"")) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        failing_once(made)
        assert (state(made).failures, state(made).last_error) == (1, "status_500")
        assert outbox(tenant) == []
        rows(
            "UPDATE audit_stream_state SET failures = 20, next_at = now(), "
            "failing_since = now() - interval '4 days' WHERE stream_id = %s RETURNING 1",
            made.stream.id,
        )
        failing_once(made)
        assert deliver(made) == 0
    assert rows("SELECT status, reason FROM audit_stream WHERE id = %s", made.stream.id) == [
        ("paused", "failing")
    ]
    assert outbox(tenant) == [("failing", "status_500")]
    told = rows(
        "SELECT actor_type FROM audit_event WHERE tenant_id = %s AND action = %s",
        tenant,
        "audit.stream.paused",
    )
    assert told == [("system",)]


@pytest.mark.parametrize("answer", [(410, {}, b""), (500, {"webhook-delivery": "disable"}, b"")])
def test_stream__whose_receiver_is_gone__is_paused_at_once(sealer: Sealer, answer: Any) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: answer) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        failing_once(made)
    assert outbox(tenant) == [("gone", f"status_{answer[0]}")]


def test_failure__with_a_hint__waits_as_long_as_asked(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: (429, {"Retry-After": "120"}, b"")) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        failing_once(made)
    ((seconds,),) = rows(
        "SELECT extract(epoch FROM next_at - failing_since)::float8 FROM audit_stream_state "
        "WHERE stream_id = %s",
        made.stream.id,
    )
    assert 119.9 < seconds < 121


def test_backoff__grows_to_five_minutes_and_is_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 1.0)
    pauses = [delivery.backoff_s(failures) for failures in range(40)]
    assert all(
        step <= pause <= 1.1 * step for step, pause in zip((1, 2, 4, 8), pauses, strict=False)
    )
    assert all(300 <= pause <= 330 for pause in pauses[9:])


def test_stream__log_that_may_not_be_signed__waits_and_says_so(
    sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(log_id: UUID, *, at_least: int = 0) -> None:
        raise checkpoints.ForkRefusedError("The log differs from its anchored checkpoint.")

    tenant = uuid4()
    with http_receiver() as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        monkeypatch.setattr(delivery.proofs, "checkpoint", refuse)
        failing_once(made)
    assert receiver.requests == []
    assert state(made).last_error == "audit_log_forked"
