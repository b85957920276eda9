"""Rotating keys: two secrets for a while, one set of limits throughout."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest

from accounts import queries
from accounts.models import PlatformKey
from accounts.models.keys import KEY_PREFIX
from accounts.services import keys, platform_keys
from accounts.services.issuing import NewKey
from audit.models import Event
from kernel import db, ids
from kernel.authz import Principal, PrincipalKind, set_principal
from kernel.errors import Conflict, Forbidden, Invalid, NotFound
from kernel.gate.projection import Burst, Override
from tests.guests import call, inside, new_guest, new_key, new_tenant, operator_key, system

HOUR = timedelta(hours=1)


def verify(text, **more):
    return call("POST", "keys/verify", operator_key(), {"key": text, **more}).body


def rotated(tenant_id, key, **how):
    with inside(tenant_id):
        return keys.rotate(key.id, **how)


def left(answer):
    return {limit["name"]: limit["remaining"] for limit in answer["limits"]}


def test_rotate__over_the_api__gives_all_of_the_key_but_secret_and_id():
    guest = new_guest()
    limits = {"daily": Override(9), "burst": Override(Burst(5, 6))}
    old = new_key(guest.id, "invoices:read", cidrs=("192.0.2.0/24",), environment="test", **limits)

    answer = call("POST", f"keys/{old.key.shown_id}/rotate", guest.key, {"grace_seconds": 3600})

    made = answer.body
    assert answer.status == 201
    assert made["key"].startswith("ikt_test_")
    assert made["rotated_from"] == old.key.shown_id
    assert (made["daily"], made["burst"]) == (9, {"rate": 5, "depth": 6})
    assert (made["permissions"], made["cidrs"]) == (["invoices:read"], ["192.0.2.0/24"])
    with inside(guest.id):
        was = queries.keys.by_id(old.key.id)
        new = queries.keys.by_id(ids.decode(KEY_PREFIX, made["id"]))
    assert was.expires_at - was.rotated_at == HOUR
    assert new.expires_at - new.created_at == old.key.expires_at - old.key.created_at
    assert new.lineage == was.lineage
    assert verify(made["key"], ip="192.0.2.7")["valid"]
    assert verify(made["key"], ip="192.0.3.7")["code"] == "FORBIDDEN"


def test_rotate__nothing_said__leaves_the_key_a_day():
    tenant = new_tenant()
    old = new_key(tenant.id)

    successor = rotated(tenant.id, old.key)

    with inside(tenant.id):
        was = queries.keys.by_id(old.key.id)
    assert was.expires_at - was.rotated_at == timedelta(days=1)
    assert verify(old.text)["key_id"] == old.key.shown_id
    assert verify(successor.text)["key_id"] == successor.key.shown_id


def test_rotate__no_grace__refuses_the_key_from_the_next_request_on():
    tenant = new_tenant()
    old = new_key(tenant.id)

    successor = rotated(tenant.id, old.key, grace=timedelta(0))

    assert verify(old.text)["code"] == "EXPIRED"
    assert call("GET", "me", old.text).status == 401
    assert verify(successor.text)["valid"]


def test_rotate__key_that_ends_sooner__ends_when_it_did():
    tenant = new_tenant()
    old = new_key(tenant.id)
    first = rotated(tenant.id, old.key, grace=HOUR)
    with inside(tenant.id):
        ends = queries.keys.by_id(old.key.id).expires_at

    with pytest.raises(Conflict) as refused:
        rotated(tenant.id, old.key, grace=timedelta(days=7))

    assert refused.value.code == "key_not_active"
    with inside(tenant.id):
        assert queries.keys.by_id(old.key.id).expires_at == ends
    assert rotated(tenant.id, first.key).key.rotated_from == first.key.id


def test_rotate__limits__go_on_where_they_stood_and_are_shared():
    tenant = new_tenant()
    old = new_key(tenant.id, daily=Override(5), burst=Override(Burst(1, 4)))
    verify(old.text, cost=2)

    first = rotated(tenant.id, old.key)
    second = rotated(tenant.id, first.key)

    assert left(verify(second.text))["daily"] == 2
    assert left(verify(old.text))["daily"] == 1
    refusal = verify(first.text, cost=2)
    assert (refusal["valid"], left(refusal)["daily"]) == (False, 1)


def test_rotate__own_requests__count_as_the_first_keys_use():
    tenant = new_tenant()
    old = new_key(tenant.id, daily=Override(3))
    call("GET", "me", old.text)

    successor = rotated(tenant.id, old.key)

    answer = call("GET", "me", successor.text)
    assert answer.headers["RateLimit"].startswith('"daily";r=1;')
    listed = call("GET", "usage/keys", successor.text).body["keys"]
    assert [(one["id"], one["requests"]) for one in listed] == [(old.key.shown_id, 3)]


def test_rotate__idempotency_key__replays_under_the_successor():
    guest = new_guest()
    header = {"Idempotency-Key": "once"}
    first = call("POST", "keys", guest.key, {"name": "made"}, **header)
    with inside(guest.id):
        successor = keys.rotate(guest.key_id)

    again = call("POST", "keys", successor.text, {"name": "made"}, **header)

    assert (again.body["id"], again.headers["Idempotent-Replayed"]) == (first.body["id"], "true")


def test_rotate__both__are_in_one_entry_without_a_secret():
    tenant = new_tenant()
    old = new_key(tenant.id, "keys:rotate")

    successor = rotated(tenant.id, old.key, reason="a laptop was lost")

    with inside(tenant.id):
        entry = Event.objects.get(action="key.rotated", target_id=old.key.shown_id)
    assert successor.key.shown_id.encode() in bytes(entry.leaf)
    assert successor.text.rpartition("_")[2].encode() not in bytes(entry.leaf)


def test_rotate__permission_that_the_caller_lacks__is_refused_and_changes_nothing():
    tenant = new_tenant()
    old = new_key(tenant.id, "invoices:delete")
    weak = new_key(tenant.id, "keys:rotate", "keys:read")

    answer = call("POST", f"keys/{old.key.shown_id}/rotate", weak.text, {})

    assert (answer.status, answer.body["code"]) == (403, "permission_ceiling")
    with inside(tenant.id):
        assert queries.keys.by_id(old.key.id).rotated_at is None
    assert verify(old.text)["valid"]


def test_rotate__itself__is_open_to_a_key_that_may_rotate():
    tenant = new_tenant()
    key = new_key(tenant.id, "keys:rotate")

    answer = call("POST", f"keys/{key.key.shown_id}/rotate", key.text, {"grace_seconds": 0})

    assert answer.status == 201
    assert call("POST", f"keys/{answer.body['id']}/rotate", key.text, {}).status == 401


def test_rotate__key_of_another_tenant__is_not_found():
    mine, other = new_guest(), new_guest()

    with pytest.raises(NotFound) as refused:
        rotated(mine.id, new_key(other.id).key)

    assert refused.value.code == "key_not_found"


def test_rotate__revoked__conflicts():
    tenant = new_tenant()
    old = new_key(tenant.id)
    with inside(tenant.id):
        keys.revoke(old.key.id)

    with pytest.raises(Conflict) as refused:
        rotated(tenant.id, old.key)

    assert refused.value.code == "key_not_active"


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=7, seconds=1)])
def test_rotate__grace_out_of_range__points_at_it(grace):
    tenant = new_tenant()
    old = new_key(tenant.id)

    with pytest.raises(Invalid) as refused:
        rotated(tenant.id, old.key, grace=grace)

    assert [fault.pointer for fault in refused.value.errors] == ["/grace_seconds"]


def test_rotate__twice_at_once__one_wins():
    tenant = new_tenant()
    old = new_key(tenant.id)
    together, outcomes = Barrier(2), []

    def attempt():
        try:
            with inside(tenant.id):
                together.wait()
                keys.rotate(old.key.id)
            outcomes.append("rotated")
        except Conflict as refused:
            outcomes.append(refused.code)
        finally:
            db.connection().close()

    threads = [Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["key_not_active", "rotated"]
    with inside(tenant.id):
        assert queries.keys.listed().filter(rotated_from=old.key.id).count() == 1


def test_rotate__tenant_key_by_the_operator__works_through_its_route():
    guest = new_guest()
    tenant = ids.encode(ids.TENANT, guest.id)
    path = f"admin/tenants/{tenant}/keys/{ids.encode(KEY_PREFIX, guest.key_id)}/rotate"

    answer = call("POST", path, operator_key(), {"grace_seconds": 0})

    assert answer.status == 201
    assert call("GET", "me", answer.body["key"]).body["tenant"] == tenant
    assert call("GET", "me", guest.key).status == 401


def test_rotate__platform_key__works_through_its_route():
    old = operator_key("keys:verify")
    with system():
        found = PlatformKey.objects.get(public_id=old.split("_")[2])
    path = f"admin/platform-keys/{found.shown_id}/rotate"

    answer = call("POST", path, operator_key(), {"grace_seconds": 0})

    assert (answer.status, answer.body["rotated_from"]) == (201, found.shown_id)
    tenant = new_tenant()
    asked = {"key": new_key(tenant.id).text}
    assert call("POST", "keys/verify", answer.body["key"], asked).body["valid"]
    assert call("POST", "keys/verify", old, asked).status == 401


def test_rotate__platform_key_beyond_the_callers_own__is_refused():
    with system():
        strong = platform_keys.create(NewKey(name="strong", permissions=("*:*",)))
        set_principal(
            Principal(PrincipalKind.PLATFORM_KEY, strong.key.id, permissions=frozenset({"a:b"}))
        )
        with pytest.raises(Forbidden) as refused:
            platform_keys.rotate(strong.key.id)

    assert refused.value.code == "permission_ceiling"
