"""Issuing and revoking tenant keys: the service, and what holds at the next request."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts import queries
from accounts.models import ApiKey
from accounts.permissions import DEFAULT_KEY_PERMISSIONS
from accounts.services import keys
from accounts.services.issuing import NewKey
from audit.models import Event
from kernel.authz import Principal, PrincipalKind, set_principal
from kernel.errors import Forbidden, Invalid, NotFound
from kernel.gate import keys as format_of_keys
from kernel.gate.projection import Burst, Override
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tests.guests import call, inside, new_guest, new_key, new_tenant, operator_key


def verify(key, **more):
    return call("POST", "keys/verify", operator_key(), {"key": key, **more}).body


def as_key(tenant_id, *permissions):
    """Act as a tenant key with these permissions from here on; the next request resets it."""
    set_principal(
        Principal(
            PrincipalKind.TENANT_KEY,
            new_id(),
            tenant_id=tenant_id,
            permissions=frozenset(permissions),
        )
    )


def test_create__always__stores_no_secret():
    guest = new_guest()

    issued = new_key(guest.id)

    _, secret = format_of_keys.parse(issued.text)
    with inside(guest.id):
        key = queries.keys.by_id(issued.key.id)
        log = bytes(Event.objects.get(action="key.created", target_id=key.shown_id).leaf)
    assert secret not in str(vars(key))
    assert secret.encode() not in log
    assert key.public_id.encode() in log


def test_create__nothing_named__gets_the_default_within_the_creators_own():
    tenant = new_tenant()

    with tenant_context(tenant.id):
        as_key(tenant.id, "keys:create", "*:read")
        issued = keys.create(NewKey(name="reader"))

    reads = tuple(name for name in DEFAULT_KEY_PERMISSIONS if name.endswith(":read"))
    assert tuple(issued.key.permissions) == reads


def test_create__more_than_the_creator_has__is_refused_naming_what_lacks():
    tenant = new_tenant()

    with tenant_context(tenant.id):
        as_key(tenant.id, "keys:create", "events:*")
        with pytest.raises(Forbidden) as refused:
            keys.create(NewKey(name="more", permissions=("events:read", "keys:*", "*:read")))

    assert refused.value.code == "permission_ceiling"
    assert refused.value.extensions == {"lacking": ["keys:*", "*:read"]}
    with tenant_context(tenant.id):
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": " "}, "/name"),
        ({"permissions": ()}, "/permissions"),
        ({"permissions": ("keys:read", "keys")}, "/permissions/1"),
        ({"permissions": ("ke*:read",)}, "/permissions/0"),
        ({"cidrs": ("10.0.0.0/33",)}, "/cidrs/0"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "/expires_at"),
        ({"expires_at": datetime(2999, 1, 1, tzinfo=UTC)}, "/expires_at"),
        ({"daily": Override(-1)}, "/daily"),
        ({"burst": Override(Burst(0, 1))}, "/burst/rate"),
        ({"environment": "staging"}, "/environment"),
    ],
)
def test_create__faulty__points_at_the_fault(fields, pointer):
    tenant = new_tenant()

    with inside(tenant.id), pytest.raises(Invalid) as refused:
        keys.create(NewKey(**{"name": "fine", **fields}))

    assert [fault.pointer for fault in refused.value.errors] == [pointer]


def test_create__no_expiry_named__lives_a_year():
    tenant = new_tenant()

    issued = new_key(tenant.id)

    assert issued.key.expires_at - issued.key.created_at == timedelta(days=365)


def test_create__test_environment__shows_in_the_key():
    tenant = new_tenant()

    issued = new_key(tenant.id, environment="test")

    assert issued.text.startswith("ikt_test_")
    assert verify(issued.text)["valid"]


def test_expiry__passed__refuses_at_the_next_request():
    tenant = new_tenant()
    issued = new_key(tenant.id, expires_at=timezone.now() + timedelta(milliseconds=400))
    assert call("GET", "me", issued.text).status == 200

    while timezone.now() < issued.key.expires_at:
        pass
    refused = call("GET", "me", issued.text)

    assert (refused.status, refused.code) == (401, "key_expired")
    assert verify(issued.text)["code"] == "EXPIRED"


def test_cidrs__other_address__is_refused_and_counts_nothing():
    tenant = new_tenant()
    issued = new_key(tenant.id, cidrs=("192.0.2.7/24", "192.0.2.0/24"), daily=Override(5))

    refused = call("GET", "me", issued.text)
    allowed = verify(issued.text, ip="192.0.2.200")

    assert issued.key.cidrs == ["192.0.2.0/24"]
    assert (refused.status, refused.code) == (403, "address_not_allowed")
    assert verify(issued.text, ip="198.51.100.1")["code"] == "FORBIDDEN"
    assert (allowed["code"], allowed["limits"][0]["remaining"]) == ("VALID", 4)


def test_limits__own_daily__holds_to_the_unit():
    tenant = new_tenant()
    issued = new_key(tenant.id, daily=Override(3))

    statuses = [call("GET", "me", issued.text).status for _ in range(5)]
    refused = call("GET", "me", issued.text)

    assert statuses == [200, 200, 200, 429, 429]
    assert (refused.code, refused.headers["X-RateLimit-Remaining"]) == ("quota_exceeded", "0")
    assert int(refused.headers["X-RateLimit-Reset"]) % 86_400 == 0  # the moment: a midnight of UTC
    assert int(refused.headers["Retry-After"]) >= 1


def test_limits__inherited__are_the_plans():
    tenant = new_tenant("basic")
    issued = new_key(tenant.id, daily=None, burst=None)

    limits = {one["name"]: one["limit"] for one in verify(issued.text)["limits"]}

    assert limits == {"burst": 40, "daily": 1000, "tenant_burst": 40, "tenant_daily": 1000}


def test_limits__own_burst__is_depth_at_once():
    tenant = new_tenant("enterprise")
    issued = new_key(tenant.id, burst=Override(Burst(1, 2)))

    codes = [verify(issued.text)["code"] for _ in range(3)]

    assert codes == ["VALID", "VALID", "RATE_LIMITED"]


def test_revoke__once__refuses_at_the_next_request_and_is_recorded_once():
    guest = new_guest()
    issued = new_key(guest.id)
    assert call("GET", "me", issued.text).status == 200

    with inside(guest.id):
        keys.revoke(issued.key.id, reason="leaked")
        keys.revoke(issued.key.id)
        entries = Event.objects.filter(action="key.revoked", target_id=issued.key.shown_id).count()
    refused = call("GET", "me", issued.text)

    assert (refused.status, refused.code) == (401, "key_disabled")
    assert verify(issued.text)["code"] == "DISABLED"
    assert entries == 1


def test_revoke__another_tenants_key__is_not_found_and_stays():
    guest, other = new_guest(), new_guest()

    with inside(guest.id), pytest.raises(NotFound):
        keys.revoke(other.key_id)

    assert call("GET", "me", other.key).status == 200


def test_row__changed_past_the_services__cannot_be_committed():
    guest = new_guest()

    with inside(guest.id), pytest.raises(Exception, match="needs an audit entry"):
        ApiKey.objects.filter(id=guest.key_id).update(name="unaudited")
