"""Many callers admitted in one statement: as one after the other, or not at all."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from kernel import db
from kernel.gate import keys, projection
from kernel.gate.admission import admit
from kernel.gate.company import Caller, admit_many
from kernel.gate.presented import Credential, credential
from kernel.gate.projection import Burst, Override
from kernel.gate.wire import HotConnection, Statement
from kernel.ids import new_id
from tests.kernel.gate.credentials import (
    KnownKey,
    make_key,
    make_tenant,
    set_status,
    set_tenant_status,
)

ASKED = "meters:read"
HERE = "192.0.2.1"


class Hourly(Burst):
    """A burst that fills by one an hour: no test is that slow."""

    @property
    def interval_us(self) -> int:
        return 3_600_000_000


SLOW = Hourly(rate=1, depth=3)


@pytest.fixture
def wire(database):
    connection = HotConnection()
    yield connection
    connection.close()


def used_key(wire, tenant_id, **facts) -> KnownKey:
    """Make a key that has been used today: the first use of a day is not a plain one."""
    key = make_key(tenant_id, **facts)
    assert admit(wire, key.text, ip=HERE, permission=ASKED).code == "VALID"
    return key


def alone(wire, *asking: KnownKey) -> list[str]:
    return [admit(wire, key.text, ip=HERE, permission=ASKED).code for key in asking]


def caller(key: KnownKey, ip: str | None = HERE) -> Caller:
    presented = credential(key.text)
    assert presented is not None
    return Caller(presented, ip)


def counters(*subjects) -> list[tuple]:
    with db.use_alias("owner"):
        return [
            db.rows("SELECT to_jsonb(c)::text FROM gate.counter c WHERE subject = $1", [subject])[0]
            for subject in subjects
        ]


def used(subject) -> int:
    with db.use_alias("owner"):
        ((found,),) = db.rows("SELECT used FROM gate.counter WHERE subject = $1", [subject])
    return found


def test_admit_many__plain_callers__are_what_the_gate_says_of_each(wire):
    tenants = [make_tenant(daily=100, features=["sso"]), make_tenant()]
    known = [used_key(wire, tenant) for tenant in tenants]

    found = admit_many(wire, [caller(key) for key in known], ASKED)

    for key, admission in zip(known, found, strict=True):
        single = admit(wire, key.text, ip=HERE, permission=ASKED)
        assert admission is not None
        for fact in ("code", "key_id", "lineage", "kind", "tenant_id", "permissions",
                     "config_version", "entitlement_version"):  # fmt: skip
            assert getattr(admission, fact) == getattr(single, fact), fact
        assert [limit.name for limit in admission.limits] == [x.name for x in single.limits]


def test_admit_many__several_of_a_key__each_has_the_figures_after_its_own(wire):
    tenant = make_tenant(daily=100, burst=Hourly(rate=1, depth=50))
    one, other = used_key(wire, tenant), used_key(wire, tenant)
    asking = [caller(key) for key in (one, other, one, one)]

    found = admit_many(wire, asking, ASKED)

    left = [
        {limit.name: limit.remaining for limit in admission.limits} for admission in found
        if admission
    ]  # fmt: skip
    assert [x["daily"] for x in left] == [98, 98, 97, 96]
    assert sorted(x["tenant_daily"] for x in left) == [94, 95, 96, 97]
    assert [x["burst"] for x in left if x["daily"] < 98] == [
        left[0]["burst"] - 1,
        left[0]["burst"] - 2,
    ]
    assert (used(one.key_id), used(other.key_id), used(tenant)) == (4, 2, 6)


def test_admit_many__whoever_is_refused__asks_alone_and_is_not_counted(wire):
    tenant, past = make_tenant(), datetime.now(UTC) - timedelta(seconds=1)
    good = used_key(wire, tenant)
    disabled, poor = used_key(wire, tenant), make_key(tenant, permissions=["a:read"])
    set_status(disabled, "disabled")
    expired = make_key(tenant, expires_at=past)
    elsewhere = make_key(tenant, cidrs=["10.0.0.0/8"])
    suspended = used_key(wire, make_tenant())
    set_tenant_status(suspended.tenant_id, "suspended")
    platform, unknown = make_key(), keys.mint(keys.TENANT).text
    refused = [disabled, poor, expired, elsewhere, suspended, platform]
    asking = [caller(key) for key in (*refused, good)]
    asking.append(Caller(credential(unknown), HERE))
    before = counters(disabled.key_id, poor.key_id, suspended.key_id, suspended.tenant_id)

    found = admit_many(wire, asking, ASKED)

    assert [admission is not None for admission in found] == [False] * 6 + [True, False]
    assert counters(disabled.key_id, poor.key_id, suspended.key_id, suspended.tenant_id) == before
    assert used(tenant) == 3


def test_admit_many__mac_of_another_key__is_refused_beside_its_owner(wire):
    tenant = make_tenant()
    mine, other = used_key(wire, tenant), used_key(wire, make_tenant())
    stolen = Credential(caller(other).credential.public_id, caller(mine).credential.macs)

    found = admit_many(wire, [caller(mine), Caller(stolen, HERE), caller(other)], ASKED)

    assert [admission is not None for admission in found] == [True, False, True]
    assert used(other.key_id) == 2


@pytest.mark.parametrize("networks", [["192.0.2.0/24"], ["10.0.0.0/8", "192.0.2.1/32"]])
def test_admit_many__address_within_the_keys_networks__is_admitted(wire, networks):
    key = used_key(wire, make_tenant(), cidrs=networks)
    assert admit_many(wire, [caller(key)], ASKED) != [None]
    assert admit_many(wire, [caller(key), caller(key, "192.0.2.9")], ASKED) == [None, None]
    assert admit_many(wire, [caller(key, None)], ASKED) == [None]


@pytest.mark.parametrize("limits", [{"daily": 3}, {"burst": SLOW}])
def test_admit_many__more_than_is_left__leaves_every_counter_as_it_was(wire, limits):
    full, free = used_key(wire, make_tenant(**limits)), used_key(wire, make_tenant())
    before = counters(full.key_id, full.tenant_id)

    found = admit_many(wire, [caller(full)] * 3 + [caller(free)], ASKED)

    assert [admission is not None for admission in found] == [False] * 3 + [True]
    assert counters(full.key_id, full.tenant_id) == before
    assert used(free.tenant_id) == 2
    assert alone(wire, full, full, full) == ["VALID", "VALID", "LIMITED"]


def test_admit_many__limit_of_the_tenant_alone_is_near__keys_are_taken_back(wire):
    tenant = make_tenant(daily=4)
    lifted = [used_key(wire, tenant, daily=Override(None)) for _ in range(2)]
    before = counters(*(key.key_id for key in lifted), tenant)

    assert admit_many(wire, [caller(lifted[0]), *[caller(lifted[1])] * 2], ASKED) == [None] * 3

    assert counters(*(key.key_id for key in lifted), tenant) == before
    assert alone(wire, *lifted, lifted[0]) == ["VALID", "VALID", "LIMITED"]


def test_admit_many__keys_with_and_without_the_tenants_burst__ask_alone(wire):
    tenant = make_tenant(burst=SLOW)
    bound, free = used_key(wire, tenant), used_key(wire, tenant, burst=Override(None))
    before = counters(bound.key_id, free.key_id, tenant)

    assert admit_many(wire, [caller(bound), caller(free)], ASKED) == [None, None]

    assert counters(bound.key_id, free.key_id, tenant) == before
    assert admit_many(wire, [caller(free)] * 9, ASKED).count(None) == 0
    assert admit_many(wire, [caller(bound)], ASKED) != [None]


def test_admit_many__first_use_of_a_day_or_quarter_hour__asks_alone(wire):
    key = make_key(make_tenant(daily=100))
    assert admit_many(wire, [caller(key)], ASKED) == [None]
    admit(wire, key.text, ip=HERE, permission=ASKED)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "UPDATE gate.counter SET bucket_id = bucket_id - 1 WHERE subject = %s", [key.tenant_id]
        )
    assert admit_many(wire, [caller(key)], ASKED) == [None]
    admit(wire, key.text, ip=HERE, permission=ASKED)
    assert admit_many(wire, [caller(key)], ASKED) != [None]


def test_admit_many__a_level_is_crossed__asks_alone(wire):
    key = used_key(wire, make_tenant(daily=10))
    assert admit_many(wire, [caller(key)] * 3, ASKED).count(None) == 0
    assert admit_many(wire, [caller(key)], ASKED) == [None]


def test_admit_many__two_keys_of_one_lineage__share_what_is_left(wire):
    later = datetime.now(UTC) + timedelta(hours=1)
    key = used_key(wire, make_tenant(daily=10), expires_at=later)
    minted, successor = keys.mint(keys.TENANT), new_id()
    with db.use_alias("staff"), db.atomic():
        assert projection.rotate_credential(
            minted, key_id=key.key_id, ends_at=later, successor_id=successor, expires_at=later
        )
    asking = [caller(key), Caller(credential(minted.text), HERE)]

    assert admit_many(wire, asking, ASKED) == [None, None]
    assert used(key.key_id) == 1
    assert None not in admit_many(wire, asking[1:], ASKED)
    assert used(key.key_id) == 2


def test_admit_many__leaves_no_tenant_on_the_connection(wire):
    key = used_key(wire, make_tenant())
    admit_many(wire, [caller(key)], ASKED)
    looked = Statement("look", "SELECT current_setting('app.tenant')", parameters=0)
    assert wire.row(looked, []) == [b""]


def test_admit_many__beside_single_ones__admits_exactly_the_limit(database):
    tenants = [make_tenant(daily=60), make_tenant(daily=45)]
    known = [make_key(tenants[0]), make_key(tenants[0]), make_key(tenants[1])]
    admitted: dict = dict.fromkeys(tenants, 0)
    guard = threading.Lock()

    def ask(place: int) -> None:
        connection = HotConnection()
        for turn in range(12):
            asking = [known[(place + turn + step) % 3] for step in range(1 + (place + turn) % 4)]
            found = (
                admit_many(connection, [caller(key) for key in asking], ASKED)
                if len(asking) > 1 else [None]
            )  # fmt: skip
            for key, admission in zip(asking, found, strict=True):
                code = (admission or admit(connection, key.text, ip=HERE, permission=ASKED)).code
                with guard:
                    admitted[key.tenant_id] += code == "VALID"
        connection.close()

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(admitted.values()) == [60, 45]
    assert [used(tenant) for tenant in tenants] == [60, 45]
    assert used(known[0].key_id) + used(known[1].key_id) == 60
