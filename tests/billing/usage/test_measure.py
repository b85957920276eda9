"""What meters show: aggregations, windows, groups, filters, edges, exactness."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.usage.filters import advanced, simple
from billing.usage.queries.question import WindowSize
from kernel import db
from kernel.errors import Gone
from tests.billing.house import make_house
from tests.billing.usage.reports import NOON, define, event, read, report, total, word

VALUES = [
    Decimal(3),
    Decimal("0.1"),
    Decimal("0.2"),
    Decimal(-7),
    Decimal("12345678901234567890.5"),
]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("SUM", sum(VALUES)),
        ("COUNT", Decimal(5)),
        ("MIN", Decimal(-7)),
        ("MAX", max(VALUES)),
        ("AVG", Decimal("2469135780246913577.36")),
        ("LATEST", VALUES[-1]),
        ("UNIQUE_COUNT", Decimal(5)),
    ],
)
def test_measure__aggregation__is_exact(house, aggregation, expected):
    meter = define(house.id, aggregation)
    report(
        house.id,
        *(
            event(meter.slug, str(value), at=NOON + timedelta(microseconds=place))
            for place, value in enumerate(VALUES)
        ),
    )

    assert total(house.id, meter) == expected


@pytest.mark.parametrize("aggregation", ["SUM", "AVG", "MIN", "MAX", "LATEST", "UNIQUE_COUNT"])
def test_measure__null_and_missing_values__count_in_nothing(house, aggregation):
    meter = define(house.id, aggregation)
    report(
        house.id,
        event(meter.slug, 5),
        event(meter.slug, None),
        event(meter.slug, data={}),
        event(meter.slug, data=None),
    )

    assert total(house.id, meter) == (1 if aggregation == "UNIQUE_COUNT" else 5)


@pytest.mark.parametrize(
    ("aggregation", "of_100", "of_99"),
    [("P50", 50, 50), ("P90", 90, 90), ("P95", 95, 95), ("P99", 99, 99), ("MEDIAN", "50.5", 50)],
)
def test_measure__percentile__is_the_value_of_its_rank(house, aggregation, of_100, of_99):
    meter = define(house.id, aggregation)
    values = random.Random(7).sample(range(1, 101), 100)
    report(house.id, *(event(meter.slug, value) for value in values if value < 100))
    assert total(house.id, meter) == of_99

    report(house.id, event(meter.slug, 100))
    assert total(house.id, meter) == Decimal(of_100)


def test_measure__median_of_long_numbers__is_not_rounded(house):
    meter = define(house.id, "MEDIAN")
    report(house.id, event(meter.slug, "12345678901234567890.5"), event(meter.slug, "0.25"))

    assert total(house.id, meter) == Decimal("6172839450617283945.375")


def test_measure__latest__is_by_time_then_by_ingest(house):
    meter = define(house.id, "LATEST")
    report(house.id, event(meter.slug, 2, at=NOON + timedelta(seconds=1)))
    report(house.id, event(meter.slug, 1, at=NOON))
    assert total(house.id, meter) == 2

    report(house.id, event(meter.slug, 3, at=NOON + timedelta(seconds=1)))
    assert total(house.id, meter) == 3


def test_measure__edges_off_the_buckets__are_exact_to_the_microsecond(house):
    meter = define(house.id, "COUNT")
    start = NOON + timedelta(minutes=7, microseconds=5)
    end = NOON + timedelta(hours=3, minutes=1, microseconds=1)
    tick = timedelta(microseconds=1)
    inside = [start, end - tick, NOON + timedelta(hours=1), NOON + timedelta(minutes=15)]
    outside = [start - tick, end, NOON]

    report(house.id, *(event(meter.slug, at=at) for at in inside + outside))

    assert total(house.id, meter, start=start, end=end) == 4
    assert total(house.id, meter, start=start, end=start + tick) == 1


@pytest.mark.parametrize("aggregation", ["SUM", "MAX", "LATEST", "UNIQUE_COUNT", "AVG"])
@pytest.mark.parametrize("window", [None, "HOUR", "DAY"])
def test_measure__rollups_and_raw_events__give_the_same(house, aggregation, window):
    meter = define(house.id, aggregation, group_by={"m": "$.m"})
    dice = random.Random(7)
    events = [
        event(
            meter.slug,
            at=NOON + timedelta(seconds=dice.uniform(0, 200_000)),
            subject=f"s{dice.randrange(3)}",
            data={"value": dice.randrange(50), "m": dice.choice("ab")},
        )
        for _ in range(300)
    ]
    report(house.id, *events)
    asked = {
        "start": NOON + timedelta(minutes=3),
        "end": NOON + timedelta(hours=50, minutes=8),
        "group_by": ["subject", "m"],
        "window": WindowSize(window) if window else None,
        "zone": "Asia/Kathmandu",
    }

    kept = read(house.id, meter, **asked)
    meter.ready = False
    raw = read(house.id, meter, **asked)

    assert kept == raw
    assert len(kept) >= 6


def test_measure__minute_windows__come_from_raw_events(house):
    meter = define(house.id)
    report(house.id, *(event(meter.slug, 1, at=NOON + timedelta(seconds=s)) for s in (0, 59, 60)))

    rows = read(house.id, meter, window=WindowSize.MINUTE)

    minute = timedelta(minutes=1)
    assert [(row.start, row.end, row.value) for row in rows] == [
        (NOON, NOON + minute, 2),
        (NOON + minute, NOON + 2 * minute, 1),
    ]


def test_measure__day_windows_in_a_zone__are_sparse_and_in_order(house):
    meter = define(house.id)
    before_midnight = datetime(2026, 3, 7, 18, 14, tzinfo=UTC)  # 23:59 in Kathmandu
    report(
        house.id,
        event(meter.slug, 4, at=before_midnight + timedelta(days=5)),
        event(meter.slug, 1, at=before_midnight),
        event(meter.slug, 2, at=before_midnight + timedelta(minutes=1)),
    )

    rows = read(house.id, meter, window=WindowSize.DAY, zone="Asia/Kathmandu")

    midnight = datetime(2026, 3, 7, 18, 15, tzinfo=UTC)
    day = timedelta(days=1)
    assert [(row.start, row.end, row.value) for row in rows] == [
        (midnight - day, midnight, 1),
        (midnight, midnight + day, 2),
        (midnight + 4 * day, midnight + 5 * day, 4),
    ]


def test_measure__no_window__spans_the_asked_range_or_the_events_minutes(house):
    meter = define(house.id)
    report(house.id, event(meter.slug, 1, at=NOON + timedelta(seconds=30)))
    report(house.id, event(meter.slug, 1, at=NOON + timedelta(minutes=20, seconds=1)))
    early = NOON - timedelta(days=1)

    (open_row,) = read(house.id, meter)
    (half_open,) = read(house.id, meter, start=early)

    assert (open_row.start, open_row.end) == (NOON, NOON + timedelta(minutes=21))
    assert (half_open.start, half_open.end) == (early, NOON + timedelta(minutes=21))


@pytest.mark.parametrize(
    ("aggregation", "rows"),
    [
        ("SUM", 0),
        ("AVG", 0),
        ("MIN", 0),
        ("MAX", 0),
        ("LATEST", 0),
        ("COUNT", 1),
        ("UNIQUE_COUNT", 1),
    ],
)
def test_measure__nothing_counted__has_no_row_but_a_count_of_zero(house, aggregation, rows):
    meter = define(house.id, aggregation)
    end = NOON + timedelta(days=1)

    found = read(house.id, meter, start=NOON, end=end)

    assert [(row.start, row.end, row.value) for row in found] == [(NOON, end, 0)] * rows
    assert read(house.id, meter, window=WindowSize.DAY) == []


def test_measure__groups__have_empty_text_for_missing_values(house):
    meter = define(house.id, group_by={"model": "$.model", "kind": "$.a.kind"})
    report(
        house.id,
        event(meter.slug, data={"value": 1, "model": "x", "a": {"kind": "k"}}),
        event(meter.slug, data={"value": 2, "model": "x"}),
        event(meter.slug, data={"value": 4, "model": 5, "a": {"kind": True}}),
    )

    rows = read(house.id, meter, group_by=["model", "kind"])

    assert [(row.groups, row.value) for row in rows] == [
        ({"model": "5", "kind": "true"}, 4),
        ({"model": "x", "kind": ""}, 2),
        ({"model": "x", "kind": "k"}, 1),
    ]


def test_measure__filters__narrow_groups_and_subjects(house):
    meter = define(house.id, group_by={"model": "$.model"})
    for place, model in enumerate(["gpt-4", "gpt-3", "claude", "it's"]):
        data = {"value": 10**place, "model": model}
        report(house.id, event(meter.slug, data=data, subject=f"s{place}"))

    def asked(**facts):
        return total(house.id, meter, **facts)

    assert asked(filters=simple({"model": ["gpt-4", "it's"]})) == 1001
    assert asked(filters=advanced({"model": {"$like": "gpt%"}})) == 11
    assert asked(filters=advanced({"model": {"$nlike": "gpt%"}})) == 1100
    assert asked(filters=advanced({"model": {"$ilike": "CLAU_E"}})) == 100
    assert asked(filters=advanced({"model": {"$gt": "gpt-3", "$lte": "it's"}})) == 1001
    assert (
        asked(filters=advanced({"model": {"$or": [{"$eq": "gpt-3"}, {"$in": ["claude"]}]}})) == 110
    )
    assert asked(filters=advanced({"model": {"$nin": ["gpt-3"]}})) == 1101
    assert asked(subjects=["s0", "s2"]) == 101


def test_measure__another_tenant__sees_nothing(house):
    meter = define(house.id)
    report(house.id, event(meter.slug, 1))

    assert total(make_house("enterprise").id, meter) is None


def test_measure__percentile_over_archived_events__is_refused_and_later_ones_are_not(house):
    meter, summed = define(house.id, "P95", kind := word()), define(house.id, "SUM", kind)
    report(house.id, event(kind, 5), event(kind, 9, at=NOON + timedelta(days=40)))
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_usage_closed (tenant_id, month) VALUES (%s, %s)",
            [house.id, NOON.date().replace(day=1)],
        )

    with pytest.raises(Gone, match=f"those of {NOON:%Y-%m} are archived"):
        read(house.id, meter)
    with pytest.raises(Gone):
        read(house.id, meter, start=NOON + timedelta(days=29))
    assert total(house.id, meter, start=NOON + timedelta(days=31)) == 9
    assert (
        read(house.id, meter, start=NOON - timedelta(days=99), end=NOON - timedelta(days=9)) == []
    )
    assert total(house.id, summed) == 14
