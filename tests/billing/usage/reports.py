"""Events, meters and figures, as tests of usage make and read them."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.usage.cloudevents import decode
from billing.usage.models import Meter
from billing.usage.queries import meters as finding
from billing.usage.queries.measure import measure
from billing.usage.queries.question import Question, Row
from billing.usage.services import meters
from billing.usage.services.ingest import ingest
from kernel import db, tenancy
from kernel.gate.wire import HotConnection
from kernel.ids import new_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def word() -> str:
    """Make a name that no other test uses."""
    return f"w{new_id().hex[-16:]}"


def event(type_: str, value: Any = 1, *, at: datetime = NOON, **facts: Any) -> dict[str, Any]:
    """Make an event; keyword facts replace attributes."""
    return {
        "id": word(),
        "source": "svc",
        "specversion": "1.0",
        "type": type_,
        "subject": "alice",
        "time": at.isoformat(),
        "data": {"value": value},
    } | facts


def report(tenant_id: UUID, *events: dict[str, Any]) -> int:
    """Take events as the tenant; give how many were new."""
    sent = decode(json.dumps(events).encode(), "application/json")
    with tenancy.tenant_context(tenant_id):
        return ingest(sent, tenant_id=tenant_id)


def in_parallel(workers: int, work: Callable[[int, HotConnection], int]) -> list[int]:
    """Run ``work(place, connection)`` in threads that start together, each with a connection."""
    start = threading.Barrier(workers)

    def run(place: int) -> int:
        connection = HotConnection("staff")
        start.wait()
        try:
            return work(place, connection)
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, range(workers)))


def send(connection: HotConnection, tenant_id: UUID, events: list[dict[str, Any]]) -> int:
    """Take events as the operator does for a tenant; committed when this returns."""
    sent = decode(json.dumps(events).encode(), "application/json")
    return ingest(sent, tenant_id=tenant_id, by_operator=True, connection=connection)


def define(tenant_id: UUID, aggregation: str = "SUM", type_: str = "", **facts: Any) -> Meter:
    """Define a meter of the tenant and count it from roll-ups."""
    slug = word()
    if aggregation != "COUNT":
        facts = {"value_property": "$.value"} | facts
    definition = meters.Definition(
        slug=slug, aggregation=aggregation, event_type=type_ or slug, **facts
    )
    with tenancy.tenant_context(tenant_id):
        meter = meters.create(definition, scope=tenant_id)
        Meter.objects.filter(id=meter.id).update(ready=True)
        return finding.get(slug)


def read(tenant_id: UUID, meter: Meter, **asked: Any) -> list[Row]:
    """Ask a meter as the tenant."""
    with tenancy.tenant_context(tenant_id):
        return measure(Question(meter=meter, **asked))


def total(tenant_id: UUID, meter: Meter, **asked: Any) -> Decimal | None:
    """Give the one figure of an answer; None where there is no row."""
    rows = read(tenant_id, meter, **asked)
    assert len(rows) < 2
    return rows[0].value if rows else None


def rollups(meter: Meter) -> list[tuple[Any, ...]]:
    """Read a meter's roll-ups, shards joined."""
    return _select(
        "SELECT bucket, subject, groups, sum(count), sum(total), min(lowest), max(highest),"
        " min(first_at), max(latest_at) FROM billing_usage_rollup WHERE meter_id = %s"
        " GROUP BY bucket, subject, groups ORDER BY bucket, subject, groups",
        meter.id,
    )


def _select(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with as_staff(), db.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


@contextmanager
def as_staff() -> Iterator[None]:
    """Act across tenants."""
    with db.use_alias("staff"), tenancy.across_tenants():
        yield
