"""The months of the ledger."""

from datetime import UTC, datetime

from billing.usage.services.partitions import AHEAD, make_months
from kernel import db
from tests.billing.usage.reports import as_staff, define, event, report, total


def partition_of(event_id: str) -> str:
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM billing_usage_event WHERE id = %s", [event_id]
        )
        return cursor.fetchone()[0]


def test_make_months__all_there__makes_none(house):
    assert make_months() == []


def test_make_months__month_that_has_events_already__moves_them_in(house):
    meter = define(house.id, "COUNT")
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 + AHEAD + 2
    at = datetime(months // 12, months % 12 + 1, 15, tzinfo=UTC)
    one = event(meter.slug, at=at)
    report(house.id, one)
    assert partition_of(one["id"]) == "billing_usage_event_default"

    made = make_months(AHEAD + 2)

    name = f"billing_usage_event_{at:%Y%m}"
    assert name in made
    assert partition_of(one["id"]) == name
    assert make_months(AHEAD + 2) == []
    assert total(house.id, meter) == 0  # it is still too far ahead to count
    assert looked_at(name) == PLANNED_BY


PLANNED_BY = {"tenant_id", "time", "seq", "key_id", "source", "type", "subject"}


def looked_at(table: str) -> set[str]:
    """The columns of which ANALYZE makes statistics."""
    found = db.rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
        " AND NOT attisdropped AND coalesce(attstattarget, -1) <> 0",
        [table],
    )
    return {name for (name,) in found}


def test_partitions__columns_that_no_plan_depends_on__are_not_analyzed(house):
    parts = db.rows(
        "SELECT relname::text FROM pg_class WHERE relname ~ '^billing_usage_(event|seen)_'"
        " AND relkind = 'r'",
        [],
    )
    tables = [name for (name,) in parts]

    assert len(tables) > 16
    for table in tables:
        assert looked_at(table) == (PLANNED_BY if "event" in table else set()), table


def test_partitions__app_role__sees_them_through_their_parent_only(house):
    report(house.id, event("x"))
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^billing_usage_(event|seen)_'"
            " AND relkind = 'r' AND (NOT relrowsecurity OR NOT relforcerowsecurity"
            " OR has_table_privilege('innkeeper_app', oid, 'SELECT')"
            " OR has_table_privilege('innkeeper_staff', oid, 'SELECT'))"
        )
        assert cursor.fetchall() == []
