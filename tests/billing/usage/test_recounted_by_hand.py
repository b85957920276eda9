"""Every aggregation against a count by hand in Python: late events, voids, corrections, civil
windows over the days on which clocks are set."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.usage.models import Meter
from billing.usage.queries.question import Row, WindowSize
from billing.usage.services import amending
from kernel import tenancy
from tests.billing.house import House, make_house
from tests.billing.usage.reports import define, event, read, report, word
from tests.billing.usage.test_recount import differing
from tests.billing.usage.test_windows import CASES, day_of, month_of

GROUPS = {"m": "$.m"}
TICK = timedelta(microseconds=1)
# Around these instants clocks are set: by an hour in Berlin, by half an hour on Lord Howe Island.
CHANGES = [
    datetime(2025, 10, 4, 15, 30, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
]
STEADY = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe"]


@dataclass(frozen=True)
class Fact:
    """One event as it counts: ``value`` is the text that was sent, None for none."""

    at: datetime
    value: str | None
    subject: str
    group: str
    void: bool = False

    def body(self) -> dict[str, Any]:
        return {"value": self.value, "m": self.group}


def distance() -> st.SearchStrategy[timedelta]:
    """Mostly round quarter hours around an instant, some to the microsecond."""
    round_ones = st.integers(-140, 140).map(lambda n: timedelta(minutes=15) * n)
    odd_ones = st.integers(-(10**11), 10**11).map(lambda n: timedelta(microseconds=n))
    return st.one_of(round_ones, odd_ones)


VALUES = st.one_of(
    st.none(), st.integers(-5, 5).map(str), st.decimals(-1000, 1000, places=3).map(str)
)
AMENDMENTS = st.lists(st.tuples(st.integers(0, 11), st.one_of(st.just("void"), VALUES)), max_size=4)


@dataclass(frozen=True)
class Story:
    """What was reported in which order, what was amended then (by place), and what is asked."""

    facts: list[Fact]
    changes: list[tuple[int, str | None]]
    questions: list[dict[str, Any]]


@st.composite
def stories(draw: Callable[..., Any], asked: int) -> Story:
    """Make events around a change of the clocks and questions about them.

    A question's range is open or not, round or odd; its windows are civil in a zone.
    """
    change = draw(st.sampled_from(CHANGES))
    fact = st.builds(
        Fact,
        distance().map(lambda apart: change + apart),
        VALUES,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "y"]),
    )
    questions = []
    for _ in range(asked):
        start, end = sorted([draw(distance()), draw(distance())])
        questions.append(
            {
                "start": change + start if draw(st.booleans()) else None,
                "end": change + max(end, start + TICK),
                "window": draw(st.sampled_from([None, *WindowSize])),
                "zone": draw(st.sampled_from(ZONES)),
                "group_by": draw(st.sampled_from([["subject"], ["subject", "m"], ["m"]])),
            }
        )
    return Story(draw(st.lists(fact, min_size=1, max_size=12)), draw(AMENDMENTS), questions)


@pytest.fixture(scope="module")
def tenant(session_database) -> House:
    return make_house("enterprise")


@pytest.fixture(scope="module")
def meters(tenant: House) -> dict[str, Meter]:
    """One meter for each aggregation over the same events."""
    kind = word()
    return {
        name: define(tenant.id, name, kind, group_by=GROUPS)
        for name in [*BY_HAND, "WEIGHTED_SUM", "COUNT"]
    }


def rank(values: list[Decimal], share: str) -> Decimal:
    """The smallest value that at least this share of all does not exceed."""
    return sorted(values)[max(ceil(Fraction(share) * len(values)), 1) - 1]


def median(values: list[Decimal]) -> Fraction:
    ordered, middle = sorted(values), len(values) // 2
    return Fraction(ordered[middle] + ordered[-middle - 1]) / 2


BY_HAND: dict[str, Callable[[list[Decimal]], Any]] = {
    "SUM": sum,
    "MIN": min,
    "MAX": max,
    "AVG": lambda values: Fraction(sum(values)) / len(values),
    "LATEST": lambda values: values[-1],
    "UNIQUE_COUNT": len,
    "MEDIAN": median,
    "P50": lambda values: rank(values, "0.5"),
    "P90": lambda values: rank(values, "0.9"),
    "P95": lambda values: rank(values, "0.95"),
    "P99": lambda values: rank(values, "0.99"),
}


def window_of(at: datetime, asked: dict[str, Any]) -> tuple[datetime, datetime]:
    """The window that holds an instant, by Python's own time zones."""
    zone, window = ZoneInfo(asked["zone"]), asked["window"]
    if window == WindowSize.DAY:
        return day_of(at, zone)
    if window == WindowSize.MONTH:
        return month_of(at, zone)
    local = at.astimezone(zone)
    past = timedelta(seconds=local.second, microseconds=local.microsecond)
    if window == WindowSize.MINUTE:
        return at - past, at - past + timedelta(minutes=1)
    past += timedelta(minutes=local.minute)
    return at - past, at - past + timedelta(hours=1)


def keys_of(fact: Fact, asked: dict[str, Any]) -> tuple[str, ...]:
    return tuple(fact.subject if name == "subject" else fact.group for name in asked["group_by"])


def by_hand(aggregation: str, facts: list[Fact], asked: dict[str, Any]) -> dict[Any, Any]:
    """Count again: facts in the order in which they were sent."""
    start, end = asked["start"], asked["end"]
    counted = [
        fact
        for fact in sorted(facts, key=lambda fact: fact.at)  # stable: then by order of sending
        if not fact.void
        and (start is None or fact.at >= start)
        and fact.at < end
        and (aggregation == "COUNT" or fact.value is not None)
    ]
    found: dict[Any, list[Fact]] = defaultdict(list)
    for fact in counted:
        place = window_of(fact.at, asked) if asked["window"] else None
        found[place, keys_of(fact, asked)].append(fact)
    if aggregation == "COUNT":
        return {key: len(there) for key, there in found.items()}
    if aggregation == "UNIQUE_COUNT":
        return {key: len({fact.value for fact in there}) for key, there in found.items()}
    return {
        key: BY_HAND[aggregation]([Decimal(fact.value or 0) for fact in there])
        for key, there in found.items()
    }


def level_by_hand(facts: list[Fact], asked: dict[str, Any]) -> dict[Any, Any]:
    """Integrate: each level of a series holds until the series' next event."""
    start, end = asked["start"], asked["end"]
    series: dict[Any, list[Fact]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.at):
        if not fact.void and fact.value is not None and fact.at < end:
            series[fact.subject, fact.group].append(fact)
    spans = [
        (max(fact.at, start or fact.at), following, fact)
        for there in series.values()
        for fact, following in zip(there, [*(later.at for later in there[1:]), end], strict=True)
    ]
    found: dict[Any, Fraction] = defaultdict(Fraction)
    for low, high, fact in spans:
        at = low
        while at < high:
            place = window_of(at, asked) if asked["window"] else (low, high)
            until = min(place[1], high)
            key = (place if asked["window"] else None, keys_of(fact, asked))
            found[key] += Fraction(Decimal(fact.value or 0)) * ((until - at) // TICK)
            at = until
    first = min((low for low, high, _ in spans if low < high), default=end)
    whole = (start or first.replace(second=0, microsecond=0), end)
    return {
        key: seconds / (((key[0] or whole)[1] - (key[0] or whole)[0]) // TICK)
        for key, seconds in found.items()
    }


def shown(rows: list[Row], asked: dict[str, Any], owner: str) -> dict[Any, Decimal]:
    return {
        (
            (row.start, row.end) if asked["window"] else None,
            tuple(
                (row.subject or "").removeprefix(owner) if name == "subject" else row.groups[name]
                for name in asked["group_by"]
            ),
        ): row.value
        for row in rows
    }


def same(found: dict[Any, Decimal], expected: dict[Any, Any]) -> bool:
    """Exactly the same rows; quotients to fifteen places."""
    return found.keys() == expected.keys() and all(
        abs(Fraction(found[key]) - Fraction(expected[key])) < Fraction(1, 10**15) for key in found
    )


def sent(tenant: House, kind: str, story: Story, owner: str) -> list[Fact]:
    """Report facts in the given order, amend some, and give what counts from then on."""
    events = [
        event(kind, at=fact.at, subject=owner + fact.subject, data=fact.body())
        for fact in story.facts
    ]
    report(tenant.id, *events[: len(events) // 2])
    report(tenant.id, *events[len(events) // 2 :])
    now = list(story.facts)
    with tenancy.tenant_context(tenant.id):
        for place, change in story.changes:
            if place >= len(now):
                continue
            named = {"tenant_id": tenant.id, "source": "svc", "event_id": events[place]["id"]}
            if change == "void":
                amending.void(**named, reason="sent twice")
                now[place] = replace(now[place], void=True)
            else:
                now[place] = replace(now[place], value=change, void=False)
                amending.correct(**named, data=now[place].body(), reason="wrong")
    return now


@settings(STEADY, max_examples=12)
@given(story=stories(asked=2))
def test_aggregations__any_events__are_what_a_count_by_hand_gives(tenant, meters, story):
    owner = f"{word()}-"
    subjects = [f"{owner}a", f"{owner}b"]
    facts = sent(tenant, meters["SUM"].event_type, story, owner)
    for question in story.questions:
        for name in [*BY_HAND, "COUNT"]:
            expected = by_hand(name, facts, question)
            rows = read(tenant.id, meters[name], subjects=subjects, **question)
            assert same(shown(rows, question, owner), expected), (name, rows, expected)


@settings(STEADY, max_examples=12)
@given(story=stories(asked=1))
def test_weighted_sum__any_levels__are_what_an_integral_by_hand_gives(tenant, meters, story):
    owner = f"{word()}-"
    facts = sent(tenant, meters["SUM"].event_type, story, owner)
    (question,) = story.questions
    # The API refuses levels by the hour without a start.
    endless = question["window"] == WindowSize.HOUR and question["start"] is None
    short = question["window"] == WindowSize.MINUTE
    if short or endless or question["zone"] == "Australia/Lord_Howe":
        question["window"] = WindowSize.DAY
    meter = meters["WEIGHTED_SUM"]
    expected = level_by_hand(facts, question)
    rows = read(tenant.id, meter, subjects=[f"{owner}a", f"{owner}b"], **question)
    assert same(shown(rows, question, owner), expected), (rows, expected)


@pytest.mark.parametrize(("zone", "start"), CASES)
@pytest.mark.parametrize("window", [WindowSize.DAY, WindowSize.MONTH])
def test_windows__days_that_clocks_skip_or_repeat__are_those_of_the_zone(
    tenant, zone, start, window
):
    meter, subject = define(tenant.id, "COUNT"), word()
    instants = [start + timedelta(minutes=45) * place for place in range(4 * 32)]
    report(tenant.id, *(event(meter.slug, at=at, subject=subject) for at in instants))
    asked = {"window": window, "zone": zone}

    for bounds in ({}, {"start": instants[0], "end": instants[-1] + TICK}):
        rows = read(tenant.id, meter, subjects=[subject], **asked, **bounds)

        expected = Counter(window_of(at, asked) for at in instants)
        assert {(row.start, row.end): row.value for row in rows} == expected


def test_verify_usage__after_all_of_it__names_none_of_the_meters(meters):
    assert [differing(meter) for meter in meters.values()] == [""] * len(meters)
