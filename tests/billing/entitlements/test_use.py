"""Consume, reserve, commit, release: exact under any concurrency, once per idempotency key."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from billing.catalog.queries import feature_fact
from billing.entitlements.errors import QuotaUsedUpError
from billing.entitlements.models import Override
from billing.entitlements.services import use
from billing.entitlements.services.overrides import revoke
from kernel import db
from kernel.gate import quota
from kernel.ids import decode, encode, new_id
from kernel.tenancy import tenant_context
from tests.billing.entitlements.quotas import limit, metered, value
from tests.billing.house import call, make_house, make_key, staff

pytestmark = pytest.mark.usefixtures("database")

LIMIT = 100


@pytest.fixture
def house():
    house = make_house("basic")
    limit(house, LIMIT)
    return house


@pytest.fixture(scope="module")
def platform(session_database):
    session_database.ensure()
    return make_key()


def limit_again(house, amount):
    """Replace the limit that the fixture has given."""
    with staff():
        revoke(Override.objects.get(tenant_id=house.id, revoked_at=None))
    limit(house, amount)


def act(house, verb, body, status=200, key=None, **headers):
    path = f"v1/customers/{house.slug}/entitlements/processed_units/{verb}"
    return call(key or house.key, "POST", path, body, status=status, **headers)


def test_consume__fits__is_used_and_metered_at_once(house):
    answer = act(house, "consume", {"quantity": "2.5", "subject": "ada"})

    assert (answer["usedDecimal"], answer["remainingDecimal"]) == ("2.5", "97.5")
    assert value(house)["usageDecimal"] == "2.5"
    assert metered(house) == Decimal("2.5")
    events = call(house.key, "GET", "v1/events")
    assert [(e["event"]["id"], e["event"]["subject"]) for e in events] == [
        (answer["eventId"], "ada")
    ]


def test_consume__exactly_the_rest__is_allowed_and_nothing_after_it(house):
    act(house, "consume", {"quantity": LIMIT})

    problem = act(house, "consume", {"quantity": "0.000001"}, status=409)

    assert problem["code"] == "quota_exceeded"
    assert {name: problem["extensions"][name] for name in ("limit", "used", "reserved")} == {
        "limit": "100",
        "used": "100",
        "reserved": "0",
    }
    assert problem["extensions"]["remaining"] == "0"
    assert problem["extensions"]["resetAt"] == value(house)["resetAt"]
    assert metered(house) == LIMIT


def test_consume__soft_limit__is_admitted_and_counted_as_overage():
    house = make_house("basic")
    limit(house, 10, soft=True)

    act(house, "consume", {"quantity": 15})

    answer = value(house)
    assert (answer["hasAccess"], answer["overage"], answer["softLimit"]) == (True, 5, True)


def test_consume__feature_that_the_plan_does_not_grant__is_refused():
    house = make_house("basic")
    limit(house, 0)

    act(house, "consume", {"quantity": 1}, status=409)

    assert metered(house) == 0


@pytest.mark.parametrize(
    ("feature", "status"), [("seats", 400), ("api_requests", 400), ("nothing", 404)]
)
def test_consume__of_something_without_a_quota__is_refused(house, feature, status):
    path = f"v1/customers/{house.slug}/entitlements/{feature}/consume"

    call(house.key, "POST", path, {"quantity": 1}, status=status)


@pytest.mark.parametrize(
    "body",
    [{"quantity": 0}, {"quantity": -1}, {"quantity": "NaN"}, {"quantity": None}, {"amount": 1}],
)
def test_consume__bad_quantity__is_400_and_uses_nothing(house, body):
    act(house, "consume", body, status=400)

    assert metered(house) == 0


def test_consume__repeated_with_its_idempotency_key__counts_once(house):
    key = {"Idempotency-Key": "once"}

    first = act(house, "consume", {"quantity": 3}, **key)
    again = act(house, "consume", {"quantity": 3}, **key)

    assert again == first
    assert value(house)["usage"] == 3
    act(house, "consume", {"quantity": 4}, status=422, **key)


def test_consume__repeated_by_a_platform_key__counts_once_and_per_customer(house, platform):
    other = make_house("basic")
    key = {"Idempotency-Key": f"k-{house.slug}"}

    first = act(house, "consume", {"quantity": 3}, key=platform, **key)
    again = act(house, "consume", {"quantity": 3}, key=platform, **key)

    assert again == first
    assert value(house)["usage"] == 3
    act(other, "consume", {"quantity": 3}, status=422, key=platform, **key)
    assert value(other)["usage"] == 0


def test_consume__refused__is_decided_anew_and_never_asks_to_be_retried(house):
    key = {"Idempotency-Key": "refused"}
    act(house, "consume", {"quantity": LIMIT + 1}, status=409, **key)
    path = f"/api/v1/customers/{house.slug}/entitlements/processed_units/consume"

    refused = Client().post(
        path,
        b'{"quantity": 101}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {house.key}"},
    )

    assert (refused.status_code, "Retry-After" in refused.headers) == (409, False)
    limit_again(house, LIMIT + 1)
    act(house, "consume", {"quantity": LIMIT + 1}, **key)


def test_consume__by_platform_key__counts_for_the_named_customer(house, platform):
    act(house, "consume", {"quantity": 7}, key=platform)

    assert value(house)["usage"] == 7


def test_consume__another_tenants_customer__is_404_and_uses_nothing(house):
    act(house, "consume", {"quantity": 7}, status=404, key=make_house().key)

    assert metered(house) == 0


def test_consume__key_that_may_only_read__is_403_and_uses_nothing(house):
    reader = make_key(house.id, ("entitlements:read",))

    act(house, "consume", {"quantity": 7}, status=403, key=reader)

    assert metered(house) == 0


def test_reserve__held__is_there_for_nobody_else_and_not_used(house):
    held = act(house, "reserve", {"quantity": 60, "ttlSeconds": 30}, status=201)

    assert (held["state"], held["reserved"], held["remaining"]) == ("held", 60, 40)
    act(house, "consume", {"quantity": 41}, status=409)
    act(house, "consume", {"quantity": 40})
    answer = value(house)
    assert (answer["usage"], answer["reserved"], answer["remaining"]) == (40, 60, 0)
    assert (answer["balance"], answer["hasAccess"]) == (60, False)


def test_commit__less_than_held__uses_it_and_frees_the_rest(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)

    used = act(house, "commit", {"reservation": held["id"], "quantity": 25})

    assert (used["used"], used["reserved"], used["remaining"]) == (25, 0, 75)
    assert metered(house) == 25


def test_commit__all_by_default__writes_one_event_named_like_the_reservation(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)

    act(house, "commit", {"reservation": held["id"]})

    (event,) = call(house.key, "GET", "v1/events")
    assert (event["event"]["id"], event["event"]["source"]) == (held["id"], use.RESERVED)
    assert metered(house) == 60


def test_commit__nothing__frees_everything_and_writes_no_event(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)

    act(house, "commit", {"reservation": held["id"], "quantity": 0})

    assert value(house)["remaining"] == LIMIT
    assert call(house.key, "GET", "v1/events") == []


def test_commit__use_reported_by_the_service_too__counts_once(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)
    event = {
        "id": held["id"],
        "source": use.RESERVED,
        "type": "processed_units",
        "subject": "s",
        "data": {"quantity": 60},
    }
    call(house.key, "POST", "v1/events", event, status=204)

    act(house, "commit", {"reservation": held["id"]})

    assert value(house)["usage"] == 60


def test_commit__more_than_held__takes_what_still_fits(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)

    assert act(house, "commit", {"reservation": held["id"], "quantity": 100})["used"] == 100


def test_commit__more_than_fits__is_409_and_the_hold_stays(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)

    problem = act(house, "commit", {"reservation": held["id"], "quantity": 101}, status=409)

    assert problem["code"] == "quota_exceeded"
    assert value(house)["reserved"] == 60
    act(house, "commit", {"reservation": held["id"]})


def test_commit__less_than_held_over_a_limit_lowered_since__still_counts(house):
    held = act(house, "reserve", {"quantity": 60}, status=201)
    with staff(), db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("UPDATE gate.quota SET hard_limit = 10 WHERE tenant_id = %s", [house.id])

    assert act(house, "commit", {"reservation": held["id"]})["used"] == 60


@pytest.mark.parametrize("verb", ["commit", "release"])
def test_ended__committed_or_released__is_final(house, verb):
    held = act(house, "reserve", {"quantity": 60}, status=201)
    act(house, verb, {"reservation": held["id"]}, status=200 if verb == "commit" else 204)
    state = "committed" if verb == "commit" else "released"

    for again in ("commit", "release"):
        problem = act(house, again, {"reservation": held["id"]}, status=409)
        assert problem["code"] == f"reservation_{state}"

    assert metered(house) == (60 if verb == "commit" else 0)


def test_release__frees_what_was_held(house):
    held = act(house, "reserve", {"quantity": LIMIT}, status=201)

    act(house, "release", {"reservation": held["id"]}, status=204)

    act(house, "consume", {"quantity": LIMIT})


def test_expired__frees_itself_in_the_next_guarded_use_and_cannot_be_committed(house):
    held = act(house, "reserve", {"quantity": LIMIT, "ttlSeconds": 1}, status=201)
    act(house, "consume", {"quantity": 1}, status=409)
    time.sleep(1.05)

    assert value(house)["remaining"] == LIMIT
    problem = act(house, "commit", {"reservation": held["id"]}, status=409)
    assert problem["code"] == "reservation_expired"
    act(house, "consume", {"quantity": LIMIT})
    assert value(house)["reserved"] == 0


def test_reservation__unknown_or_anothers__is_404(house):
    other = make_house()
    theirs = act(other, "reserve", {"quantity": 1}, status=201)

    for reservation in (theirs["id"], encode(use.HOLD_PREFIX, new_id()), "hld_x", ""):
        act(house, "commit", {"reservation": reservation}, status=404)

    act(other, "commit", {"reservation": theirs["id"]})


@pytest.mark.parametrize("ttl", [0, -1, 86_401])
def test_reserve__bad_time__is_400_and_holds_nothing(house, ttl):
    act(house, "reserve", {"quantity": 1, "ttlSeconds": ttl}, status=400)

    assert value(house)["reserved"] == 0


def in_threads(count, work):
    failures = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:  # noqa: BLE001 - collected and asserted on
            failures.append(error)
        finally:
            db.connection().close()

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_mixed_use__many_at_once_with_ingest_between__never_overshoots_by_a_unit(house):
    """Consumes, holds, commits and releases of 1 to 3 units race for 100, beside free ingest."""
    feature = feature_fact_of("processed_units")
    settings_pool = 3
    admitted = []

    def work(number):
        with tenant_context(house.id):
            for turn in range(40):
                amount = Decimal(1 + (number + turn) % 3)
                try:
                    if turn % 2:
                        use.consume(house.id, feature, amount)
                        admitted.append(amount)
                        continue
                    held = use.reserve(house.id, feature, amount, timedelta(seconds=30))
                except QuotaUsedUpError:
                    continue
                hold = decode(use.HOLD_PREFIX, held.id)
                if turn % 3:
                    use.commit(house.id, feature, hold, None, "")
                    admitted.append(amount)
                else:
                    use.release(house.id, feature, hold)

    in_threads(settings_pool, work)

    assert sum(admitted) <= LIMIT
    answer = value(house)
    assert Decimal(answer["usageDecimal"]) == sum(admitted) == metered(house)
    assert answer["reserved"] == 0
    assert answer["remaining"] < 3


def feature_fact_of(key):
    with staff():
        return feature_fact(key)


def test_consume__replayed__is_one_more_request_and_no_more_use(house):
    key = {"Idempotency-Key": "again"}
    first = act(house, "consume", {"quantity": 3}, **key)
    with staff():
        before = quota.requests_today(house.id)

    assert act(house, "consume", {"quantity": 3}, **key) == first

    with staff():
        assert quota.requests_today(house.id) == before + 1
    assert value(house)["usage"] == 3
