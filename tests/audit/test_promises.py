"""What ingest may rely on: a bound on the wait for the seal, and a nightly look that tells."""

import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from audit.models import Head, Stream
from audit.queries import backlog
from audit.sealing.sealer import Sealer
from audit.verification.findings import Verdict
from audit.verification.nightly import reconcile
from kernel.tenancy import tenant_context
from kernel.vitals.background import Background
from tests.audit.logs import changes, rows
from tests.audit.superuser import disarmed, superuser
from tests.guests import call, new_guest

ENTRY = {"action": "order.paid", "actor": {"type": "user", "id": "u-1"}}


@pytest.fixture
def waiting(sealer: Sealer) -> Iterator[UUID]:
    """An entry whose age is a minute, not sealed: made by the superuser, sealed at the end."""
    sealer.drain()
    guest = new_guest()
    sealer.drain()
    with superuser() as link:
        link.execute(
            "INSERT INTO audit_event (id, tenant_id, stream, recorded_at, occurred_at, action, "
            "actor_type, actor_id, on_behalf_of, target_type, target_id, outcome, request_id, leaf)"
            " SELECT gen_random_uuid(), tenant_id, 1, clock_timestamp() - interval '1 minute', "
            "occurred_at, action, actor_type, actor_id, on_behalf_of, target_type, target_id, "
            "outcome, request_id, leaf FROM audit_event WHERE tenant_id = %s LIMIT 1",
            [guest.id],
        )
    yield guest.id
    sealer.drain()


def gauges() -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Background())
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {sample.name: sample.value for one in families for sample in one.samples}


def test_unsealed__entry_without_a_place__is_counted_with_its_age(
    waiting: UUID, sealer: Sealer
) -> None:
    found = gauges()
    assert found["innkeeper_audit_unsealed_entries"] >= 1
    assert found["innkeeper_audit_unsealed_oldest_seconds"] >= 60
    sealer.drain()
    assert gauges()["innkeeper_audit_unsealed_oldest_seconds"] < 60


def test_ingest__sealer_lags__is_refused_and_comes_back(
    waiting: UUID, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "INNKEEPER_AUDIT_MAX_LAG_S", 30.0)
    guest = new_guest()
    declared = {"action": "order.paid", "schema": {"type": "object"}}
    assert call("POST", "audit/schemas", guest.key, declared).status == 201
    monkeypatch.setattr(backlog.pressure, "_until", 0.0)
    answer = call("POST", "audit/events", guest.key, ENTRY)
    assert (answer.status, answer.code) == (503, "audit_lagging")
    assert answer.headers["Retry-After"] == "5"
    assert rows("SELECT 1 FROM audit_event WHERE tenant_id = %s AND stream = 1", guest.id) == []
    sealer.drain()
    monkeypatch.setattr(backlog.pressure, "_until", 0.0)
    assert call("POST", "audit/events", guest.key, ENTRY).status == 201


def test_pressure__asked_again_at_once__asks_the_database_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def measure() -> backlog.Unsealed:
        asked.append(time.monotonic())
        return backlog.Unsealed(0, 0.0)

    monkeypatch.setattr(backlog, "unsealed", measure)
    monkeypatch.setattr(backlog, "_FRESH", 1e9)
    made = backlog.Pressure()
    made.check()
    made.check()
    assert len(asked) == 1


def test_reconcile__grown_log__is_verified_from_where_it_was(
    tenant_id: UUID, sealer: Sealer
) -> None:
    changes(tenant_id, 3)
    sealer.drain()
    assert reconcile(tenant_id) == []
    state = "SELECT size, faults FROM audit_verified WHERE tenant_id = %s"
    assert rows(state, tenant_id) == [(3, 0)]
    changes(tenant_id, 2)
    sealer.drain()
    assert reconcile(tenant_id) == []
    assert rows(state, tenant_id) == [(5, 0)]


def test_reconcile__damage__is_told_by_entry_event_and_gauge(
    tenant_id: UUID, sealer: Sealer
) -> None:
    changes(tenant_id, 3)
    sealer.drain()
    assert reconcile(tenant_id) == []
    changes(tenant_id, 2)
    sealer.drain()
    with tenant_context(tenant_id):
        log = Head.objects.get(stream=Stream.PLATFORM).log_id
    with disarmed() as link:
        link.execute(
            "UPDATE audit_event SET action = 'sample.forged' WHERE id = (SELECT event_id "
            "FROM audit_leaf WHERE log_id = %s AND leaf_index = 4)",
            [log],
        )
    (report,) = reconcile(tenant_id)
    assert (set(report.counts), report.first_bad, report.checked) == ({Verdict.INVALID}, 4, 2)
    assert gauges()["innkeeper_audit_damaged_logs"] >= 1
    told = rows(
        "SELECT target_id FROM audit_event WHERE tenant_id = %s AND action = 'audit.log.damaged'",
        tenant_id,
    )
    assert told == [(log.hex,)]
    emitted = rows(
        "SELECT payload ->> 'first_bad', payload ->> 'verdicts' FROM kernel_outbox "
        "WHERE tenant_id = %s AND name = 'audit.log_damaged'",
        tenant_id,
    )
    assert emitted == [("4", '["invalid"]')]
    with disarmed() as link:
        link.execute(
            "UPDATE audit_event SET action = 'sample.renamed' WHERE tenant_id = %s "
            "AND action = 'sample.forged'",
            [tenant_id],
        )
    sealer.drain()
    assert reconcile(tenant_id) == []
    assert rows("SELECT faults FROM audit_verified WHERE log_id = %s", log) == [(0,)]
