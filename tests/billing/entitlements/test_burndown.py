"""The burn-down of grants in SQL against a slow model that spends one unit at a time."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.models import Kind
from billing.catalog.models.recurrence import Cadence, Recurrence
from billing.catalog.queries import FeatureFact
from billing.entitlements.models.streams import GrantFact, ResetFact, Stream
from billing.entitlements.queries.burndown import spend
from kernel.gate import changes
from kernel.gate.burn import Base, burnt
from kernel.ids import new_id
from tests.billing.house import make_house, staff

pytestmark = pytest.mark.usefixtures("database")

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PERIOD = 6 * 24
"""Hours of a usage period."""
SPAN = 4 * PERIOD
ISSUE = Decimal(7)


@dataclass
class Lot:
    """A grant in the model, in hours since the start."""

    id: UUID
    rank: tuple
    amount: int
    start: int
    end: int
    recurs: int
    least: int
    most: int
    balance: int = 0


@dataclass
class Model:
    """Balances as the text of the contract says them, by the hour and by the unit."""

    lots: list[Lot]
    resets: dict[int, bool]
    keeps: bool
    overage: int = 0
    seen: dict[int, tuple[dict[UUID, int], int]] = field(default_factory=dict)

    def run(self, uses):
        """Go hour by hour; remember balances before and after the use of each hour."""
        for hour in range(SPAN):
            self.change(hour)
            for _ in range(uses.get(hour, 0)):
                self.overage += 1
                self.pay()
            self.seen[hour] = ({lot.id: lot.balance for lot in self.lots}, self.overage)

    def change(self, hour):
        for lot in self.lots:
            if lot.end <= hour:
                lot.balance = 0
        keep = self.resets.get(hour)
        if keep is not None and hour > 0:
            for lot in self.lots:
                if lot.start < hour < lot.end:
                    lot.balance = min(lot.most, max(lot.least, lot.balance))
            if not keep:
                self.overage = 0
        for lot in self.lots:
            since = hour - lot.start
            again = lot.recurs and since > 0 and since % lot.recurs == 0
            if lot.start <= hour < lot.end and (since == 0 or again):
                lot.balance = lot.amount
        self.pay()

    def pay(self):
        while self.overage:
            usable = [lot for lot in self.lots if lot.balance > 0]
            if not usable:
                return
            min(usable, key=lambda lot: lot.rank).balance -= 1
            self.overage -= 1


def at(hour):
    return T0 + hour * HOUR


grants = st.builds(
    lambda amount, priority, start, length, void, recurs, least, most: {
        "amount": amount, "priority": priority, "start": start,
        "expires": start + length if length else None,
        "void": start + void if void else None, "recurs": recurs, "least": least, "most": most,
    },
    st.integers(1, 12), st.integers(0, 2), st.integers(0, SPAN - 24),
    st.sampled_from([0, 0, 1, 30, PERIOD, 2 * PERIOD]), st.sampled_from([0, 0, 20, 200]),
    st.sampled_from([0, 0, 1, 4]), st.integers(0, 4), st.integers(0, 15),
)  # fmt: skip
uses = st.dictionaries(st.integers(0, SPAN - 1), st.integers(1, 9), max_size=25)
resets = st.dictionaries(st.integers(1, SPAN - 1), st.tuples(st.booleans(), st.booleans()),
                         max_size=2)  # fmt: skip

cases = st.tuples(st.lists(grants, max_size=5), uses, resets, st.booleans())


def both(drawn, used, by_hand, keeps):
    """Build the same case as a stream and as the model's lots."""
    anchor, bounds = 0, {0: keeps}
    facts = []
    by_hour = sorted(by_hand.items())
    for hour in range(1, SPAN):
        for when, (retain, keep) in by_hour:
            if when == hour:
                bounds[hour] = keep
                anchor = anchor if retain else hour
                facts.append(ResetFact(at(hour), retain, keep))
        if hour not in bounds and (hour - anchor) % PERIOD == 0:
            bounds[hour] = keeps
    stream_id = new_id()
    fact = FeatureFact(new_id(), f"f{stream_id.hex}", Kind.METERED, "m")
    lots = [Lot(stream_id, (1, SPAN * 9, -1), int(ISSUE), 0, SPAN * 9, 0, int(ISSUE), int(ISSUE))]
    given_ = []
    for place, one in enumerate(drawn):
        expires, void = one["expires"], one["void"]
        grant = GrantFact(
            new_id(), Decimal(one["amount"]), one["priority"], at(one["start"]),
            None if expires is None else at(expires), T0 + timedelta(seconds=place),
            None if void is None else at(void), Decimal(one["least"]), Decimal(one["most"]),
            Recurrence(Cadence(0, one["recurs"]), at(one["start"]), ZoneInfo("UTC"))
            if one["recurs"] else None,
        )  # fmt: skip
        given_.append(grant)
        ends = [end for end in (expires, void) if end is not None]
        lots.append(
            Lot(
                grant.id,
                (one["priority"], expires if expires is not None else SPAN * 9, place),
                one["amount"],
                one["start"],
                min(ends, default=SPAN * 9),
                one["recurs"] * 24,
                one["least"],
                one["most"],
            )
        )
    recurrence = Recurrence(Cadence(0, PERIOD // 24), T0, ZoneInfo("UTC"))
    stream = Stream(
        stream_id, fact, recurrence, datetime(1970, 1, 1, tzinfo=UTC), begins=T0,
        preserve_overage=keeps, grants=given_, resets=sorted(facts, key=lambda one: one.at),
    )  # fmt: skip
    model = Model(lots, bounds, keeps)
    model.run(used)
    return stream, model


def counted(windows, used):
    """Count each hour's use where it belongs."""
    for window in windows:
        hours = [hour for hour in used if window.start <= at(hour) < window.end]
        yield replace(window, used=Decimal(sum(used[hour] for hour in hours)))


def put(tenant_id, stream, base, used, *, windows=True):
    """Tell the gate of the stream alone."""
    cut = [
        window for window in stream.windows(T0, Decimal(0), ISSUE)
        if base.at <= window.start < at(SPAN)
    ]  # fmt: skip
    changes.put_grants(
        tenant_id,
        daily=None,
        burst=None,
        features=(),
        windows=counted(cut, used) if windows else (),
        changes=(),
        burns=[stream.burn(base)],
    )


@pytest.fixture(scope="module")
def tenant_id(session_database):
    session_database.ensure()
    return make_house("basic").id


# One tenant serves all examples of a test.
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(cases)
@settings(max_examples=50, suppress_health_check=SHARED)
def test_burn_down__random_grants_and_use__equals_the_model_at_every_hour(tenant_id, case):
    stream, model = both(*case)
    used = case[1]
    base = Base(stream.id, T0, Decimal(0), {})
    with staff():
        put(tenant_id, stream, base, used)
        rows = burnt(tenant_id, stream.feature.key, at(SPAN) - HOUR)

    assert (rows[0].start, rows[-1].end >= at(SPAN)) == (T0, True)
    for row in rows:
        balances, owed = row.opening, row.owed
        for hour in range((row.start - T0) // HOUR, min((row.end - T0) // HOUR, SPAN)):
            balances, owed = spend(balances, owed + used.get(hour, 0))
            expected, overage = model.seen[hour]
            shown = {id_: int(amount) for id_, amount in balances.items()}
            assert shown == {id_: expected[id_] for id_ in shown}, hour
            assert all(expected[id_] == 0 for id_ in expected if id_ not in shown), hour
            assert owed == overage, hour
        if (row.end - T0) // HOUR <= SPAN:
            assert (row.closing, row.overage) == (balances, owed)


@given(cases, st.integers(0, 20))
@settings(max_examples=15, suppress_health_check=SHARED)
def test_burn_down__in_pieces__equals_one_run(tenant_id, case, cut):
    stream, _ = both(*case)
    used = case[1]
    with staff():
        put(tenant_id, stream, Base(stream.id, T0, Decimal(0), {}), used)
        whole = burnt(tenant_id, stream.feature.key, at(SPAN) - HOUR)
        before = whole[min(cut, len(whole) - 1)]
        rest = [row for row in whole if row.start >= before.end]
        if not rest:
            return
        folded = Base(stream.id, before.end, before.overage, before.closing)
        if rest[0].start != rest[0].period[0]:
            return  # bases lie at resets, where what a period issues is there anew
        put(tenant_id, stream, folded, used, windows=False)
        pieces = burnt(tenant_id, stream.feature.key, at(SPAN) - HOUR)

    assert pieces == rest
