"""The gate's decisions in SQL: order of codes, all or nothing, nothing consumed by a refusal."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kernel import db, tenancy
from kernel.gate import projection
from kernel.gate.admission import Question, admit, verify
from kernel.gate.keys import TENANT, mint
from kernel.gate.projection import Burst, Override
from kernel.gate.wire import HotConnection
from kernel.ids import new_id
from tests.kernel.gate.credentials import (
    KnownKey,
    make_key,
    make_tenant,
    set_status,
    set_tenant_status,
)

PAST = datetime.now(UTC) - timedelta(seconds=1)


@pytest.fixture
def wire(database):
    connection = HotConnection()
    yield connection
    connection.close()


@pytest.fixture
def platform(database):
    return make_key()


def ask(wire, platform, key, **question):
    return verify(
        wire,
        platform.text,
        Question(key.text, **question),
        ip="127.0.0.1",
        permission="keys:verify",
    )


def used_today(tenant_id):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("SELECT used FROM gate.counter WHERE subject = %s", [tenant_id])
        return cursor.fetchone()[0]


def test_verify__plain_key__valid_and_counted_once_for_key_and_tenant(wire, platform):
    tenant = make_tenant(daily=10)
    key = make_key(tenant)
    answer = ask(wire, platform, key)
    assert (answer.caller_code, answer.code) == ("VALID", "VALID")
    assert (answer.tenant_id, answer.key_id) == (tenant, key.key_id)
    assert [(x.name, x.remaining) for x in answer.limits] == [("daily", 9), ("tenant_daily", 9)]
    assert used_today(tenant) == 1
    assert used_today(key.key_id) == 1


def test_verify__states_of_key__first_code_that_applies(wire, platform):
    tenant = make_tenant()
    disabled, expired = make_key(tenant), make_key(tenant, expires_at=PAST)
    set_status(disabled, "disabled")
    elsewhere = make_key(tenant, cidrs=["10.0.0.0/8"])
    poor = make_key(tenant, permissions=["a:read"])
    assert ask(wire, platform, disabled).code == "DISABLED"
    assert ask(wire, platform, expired).code == "EXPIRED"
    assert ask(wire, platform, elsewhere, ip="192.0.2.1").code == "FORBIDDEN"
    assert ask(wire, platform, elsewhere).code == "FORBIDDEN"
    assert ask(wire, platform, elsewhere, ip="10.9.8.7").code == "VALID"
    wanted = [["a:read", "b:write"]]
    assert ask(wire, platform, poor, alternatives=wanted).code == "INSUFFICIENT_PERMISSIONS"
    assert ask(wire, platform, poor, alternatives=[*wanted, ["a:read"]]).code == "VALID"
    assert ask(wire, platform, poor, feature="sso").code == "FEATURE_NOT_IN_PLAN"
    assert used_today(tenant) == 2


def test_verify__suspended_then_restored__holds_from_the_next_call(wire, platform):
    tenant = make_tenant()
    key = make_key(tenant)
    set_tenant_status(tenant, "suspended")
    assert ask(wire, platform, key).code == "TENANT_SUSPENDED"
    set_tenant_status(tenant, "active")
    assert ask(wire, platform, key).code == "VALID"
    set_tenant_status(tenant, "closed")
    assert ask(wire, platform, key).code == "NOT_FOUND"


def test_verify__revoked__final(wire, platform):
    key = make_key(make_tenant())
    set_status(key, "revoked")
    set_status(key, "active")
    assert ask(wire, platform, key).code == "DISABLED"


def test_verify__wildcard_grants__cover_one_segment(wire, platform):
    key = make_key(make_tenant(), permissions=["docs:*", "*:read"])
    for wanted, code in [
        ("docs:write", "VALID"),
        ("other:read", "VALID"),
        ("other:write", "INSUFFICIENT_PERMISSIONS"),
    ]:
        assert ask(wire, platform, key, alternatives=[[wanted]]).code == code


def test_verify__tenant_limit_reached__takes_back_what_the_key_counted(wire, platform):
    tenant = make_tenant(daily=2)
    first = make_key(tenant, daily=Override(100))
    second = make_key(tenant, daily=Override(100))
    assert [ask(wire, platform, first).code for _ in range(3)] == [
        "VALID",
        "VALID",
        "USAGE_EXCEEDED",
    ]
    refused = ask(wire, platform, second)
    assert refused.code == "USAGE_EXCEEDED"
    assert [(x.name, x.exceeded) for x in refused.limits] == [
        ("daily", False),
        ("tenant_daily", True),
    ]
    assert (used_today(tenant), used_today(first.key_id), used_today(second.key_id)) == (2, 2, 0)


def test_verify__burst_refused__consumes_no_quota(wire, platform):
    tenant = make_tenant(daily=100, burst=Burst(rate=1, depth=2))
    key = make_key(tenant)
    codes = [ask(wire, platform, key).code for _ in range(4)]
    assert codes == ["VALID", "VALID", "RATE_LIMITED", "RATE_LIMITED"]
    assert used_today(tenant) == 2


def test_verify__cost_beyond_rest__refused_whole(wire, platform):
    key = make_key(make_tenant(daily=5))
    assert ask(wire, platform, key, cost=3).code == "VALID"
    assert ask(wire, platform, key, cost=3).code == "USAGE_EXCEEDED"
    assert ask(wire, platform, key, cost=2).code == "VALID"


def test_verify__cost_zero__looks_without_counting(wire, platform):
    tenant = make_tenant(daily=1)
    key = make_key(tenant)
    assert [ask(wire, platform, key, cost=0).code for _ in range(3)] == ["VALID"] * 3
    assert used_today(tenant) == 0


def test_verify__key_without_burst__ignores_tenant_burst_but_not_its_day(wire, platform):
    key = make_key(make_tenant(daily=3, burst=Burst(1, 1)), burst=Override(None))
    codes = [ask(wire, platform, key).code for _ in range(4)]
    assert codes == ["VALID", "VALID", "VALID", "USAGE_EXCEEDED"]


def test_verify__tenant_caller__knows_its_own_keys_only(wire, database):
    own, foreign = make_tenant(), make_tenant()
    caller, key, other = make_key(own), make_key(own), make_key(foreign)
    assert ask(wire, caller, key).code == "VALID"
    assert ask(wire, caller, other).code == "NOT_FOUND"
    assert used_today(foreign) == 0
    assert used_today(own) == 1


def test_verify__bad_callers__told_about_themselves_only(wire, database):
    tenant = make_tenant()
    key = make_key(tenant)
    powerless = make_key(permissions=["x:y"])
    stranger = make_key()
    set_status(stranger, "revoked")
    for caller, code in [(powerless, "INSUFFICIENT_PERMISSIONS"), (stranger, "DISABLED")]:
        answer = ask(wire, caller, key)
        assert (answer.caller_code, answer.code) == (code, "")
    assert used_today(tenant) == 0


def test_verify__platform_key_presented__not_found(wire, platform):
    assert ask(wire, platform, make_key()).code == "NOT_FOUND"


def test_admit__valid__sets_the_tenant_and_a_refusal_clears_it(wire, database):
    tenant = make_tenant()
    key = make_key(tenant)
    with db.use_alias("default"):
        assert admit(None, key.text, ip=None, permission="meters:read").code == "VALID"
        assert current_setting() == str(tenant)
        assert admit(None, key.text, ip=None, permission="no:no").code == "INSUFFICIENT_PERMISSIONS"
        assert current_setting() == ""
    assert used_today(tenant) == 1


def current_setting():
    with db.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.tenant', true)")
        return cursor.fetchone()[0]


def test_admit__platform_key__names_a_tenant_and_counts_nothing(wire, platform):
    tenant = make_tenant(daily=1)
    for _ in range(3):
        answer = admit(wire, platform.text, ip=None, permission="meters:read", named_tenant=tenant)
        assert (answer.code, answer.tenant_id) == ("VALID", tenant)
    unknown = admit(
        wire, platform.text, ip=None, permission="meters:read", named_tenant=platform.key_id
    )
    assert unknown.code == "TENANT_NOT_FOUND"
    assert used_today(tenant) == 0


def test_admit__tenant_key_names_another_tenant__as_unknown(wire, database):
    key = make_key(make_tenant())
    other = make_tenant()
    answer = admit(wire, key.text, ip=None, permission="meters:read", named_tenant=other)
    assert answer.code == "TENANT_NOT_FOUND"


def test_tally__bucket_ended__keeps_it_and_sums_with_the_open_one(wire, platform):
    tenant = make_tenant()
    key = make_key(tenant)
    ask(wire, platform, key)
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "UPDATE gate.counter SET bucket_id = bucket_id - 1, bucket_used = 41"
            " WHERE tenant_id = %s",
            [tenant],
        )
    ask(wire, platform, key)
    with db.use_alias("staff"), tenancy.tenant_context(tenant):
        rows = projection.requests(0, 10**9)
    totals = {subject: sum(n for s, _, n in rows if s == subject) for subject, _, _ in rows}
    assert totals == {tenant: 42, key.key_id: 42}
    assert len(rows) == 4


def test_projection__app_role_and_another_tenant__refused(database):
    tenant, other = make_tenant(), make_tenant()
    with (
        tenancy.tenant_context(tenant),
        pytest.raises(Exception, match="is not the tenant of this connection") as raised,
        db.atomic(),
    ):
        projection.put_tenant(other, "suspended")
    assert isinstance(raised.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_projection__app_role_without_a_tenant__cannot_touch_platform_keys(database, platform):
    with (
        pytest.raises(Exception, match="is not the tenant of this connection") as raised,
        db.atomic(),
    ):
        projection.set_credential_status(platform.key_id, "revoked")
    assert isinstance(raised.value.__cause__, psycopg.errors.InsufficientPrivilege)


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_rotate_credential__key_that_has_ended__does_nothing(wire, platform, ended):
    key = make_key(make_tenant(), **({"expires_at": PAST} if ended == "expired" else {}))
    if ended == "revoked":
        set_status(key, "revoked")
    successor, known = rotate_key(key)
    assert not known
    assert ask(wire, platform, successor).code == "NOT_FOUND"


def test_rotate_credential__twice__counts_where_the_first_key_does(wire, platform):
    key = make_key(tenant := make_tenant(), daily=Override(3))
    ask(wire, platform, key)
    second, _ = rotate_key(key)
    third, _ = rotate_key(second)
    assert [ask(wire, platform, one).code for one in (second, third, key)] == [
        "VALID",
        "VALID",
        "USAGE_EXCEEDED",
    ]
    with db.use_alias("staff"), tenancy.tenant_context(tenant):
        assert {subject for subject, _, _ in projection.requests(0, 10**9)} == {tenant, key.key_id}
        assert set(projection.last_used([third.key_id])) == {third.key_id}


def rotate_key(key):
    """Replace a key; the gate's answer tells whether it did."""
    minted, successor_id = mint(TENANT), new_id()
    soon = datetime.now(UTC) + timedelta(hours=1)
    with db.use_alias("staff"), db.atomic():
        known = projection.rotate_credential(
            minted,
            key_id=key.key_id,
            ends_at=soon,
            successor_id=successor_id,
            expires_at=soon + timedelta(days=1),
        )
    return KnownKey(minted.text, successor_id, key.tenant_id), known


def test_schema_gate__app_role__reads_no_table(database):
    for table in ("credential", "tenant", "counter", "tally", "quota"):
        with pytest.raises(Exception, match="permission denied"), db.cursor() as cursor:
            cursor.execute(f"SELECT * FROM gate.{table}")


def test_last_used__admitted_key__tells_the_moment(wire, platform):
    key, unused = make_key(tenant := make_tenant()), make_key(tenant)
    before = datetime.now(UTC)
    ask(wire, platform, key)
    with db.use_alias("staff"):
        found = projection.last_used([key.key_id, unused.key_id])
    assert set(found) == {key.key_id}
    assert before - timedelta(seconds=1) <= found[key.key_id] <= datetime.now(UTC)
