"""The routes of keys, as a caller sees them."""

import pytest

from kernel.ids import encode, new_id
from tests.guests import call, client, new_guest, new_key, new_tenant, operator_key


def test_create__by_a_tenant__shows_the_key_once():
    guest = new_guest()

    made = call("POST", "keys", guest.key, {"name": "ci", "permissions": ["events:write"]})
    read = call("GET", f"keys/{made.body['id']}", guest.key)
    listed = call("GET", "keys?limit=1", guest.key)

    assert made.status == 201
    assert call("GET", "me", made.body["key"]).code == "insufficient_permissions"
    shown = {name: value for name, value in made.body.items() if name != "key"}
    assert read.body == {**shown, "last_used_at": None}
    assert listed.body["items"] == [read.body]
    assert made.body["key"] not in str(listed.body)


def test_create__beyond_the_callers_own__is_403_naming_it():
    guest = new_guest()
    issuer = new_key(guest.id, "keys:create", "keys:read").text

    refused = call("POST", "keys", issuer, {"name": "x", "permissions": ["members:create"]})

    assert (refused.status, refused.code) == (403, "permission_ceiling")
    assert refused.body["extensions"]["lacking"] == ["members:create"]
    assert len(call("GET", "keys", guest.key).body["items"]) == 2


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ({}, {}),
        ({"daily": None, "burst": None}, {"daily": None, "burst": None}),
        ({"daily": 7, "burst": 3}, {"daily": 7, "burst": {"rate": 3, "depth": 3}}),
        ({"burst": {"rate": 2, "depth": 9}}, {"burst": {"rate": 2, "depth": 9}}),
    ],
)
def test_create__limits__are_shown_as_they_were_asked_for(limits, shown):
    tenant = new_tenant()

    made = call(
        "POST", f"admin/tenants/{tenant.public_id}/keys", operator_key(), {"name": "k", **limits}
    )

    assert made.status == 201
    assert {name: made.body[name] for name in ("daily", "burst") if name in made.body} == shown


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"burst": {"rate": 1}}, "/burst"),
        ({"burst": True}, "/burst"),
        ({"burst": "fast"}, "/burst"),
        ({"daily": -1}, "/daily"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"tenant_id": "x"}, "/tenant_id"),
        ({"public_id": "x"}, "/public_id"),
        ({"mac": "x"}, "/mac"),
        ({"created_by_id": None}, "/created_by_id"),
    ],
)
def test_create__faulty_or_unknown_member__is_400_with_its_pointer(fields, pointer):
    tenant = new_tenant()

    refused = call(
        "POST", f"admin/tenants/{tenant.public_id}/keys", operator_key(), {"name": "k", **fields}
    )

    assert refused.status == 400
    assert [fault["pointer"] for fault in refused.body["errors"]] == [pointer]


def test_create__body_is_no_object__is_400():
    assert call("POST", "keys", new_guest().key, ["name"]).status == 400


def test_operator__creates_lists_and_revokes__a_tenants_keys():
    operator, guest = operator_key(), new_guest()
    path = f"admin/tenants/{guest.public_id}/keys"

    made = call("POST", path, operator, {"name": "billing", "permissions": ["invoices:read"]})
    listed = call("GET", f"{path}?status=active", operator)
    revoked = call("POST", f"{path}/{made.body['id']}/revoke", operator, {"reason": "unused"})

    assert made.body["tenant"] == guest.public_id
    assert made.body["permissions"] == ["invoices:read"]
    assert [item["id"] for item in listed.body["items"]] == [
        made.body["id"],
        encode("key", guest.key_id),
    ]
    assert revoked.body["status"] == "revoked"
    assert call("GET", "me", made.body["key"]).status == 401
    gone = call("GET", f"{path}?status=revoked", operator)
    assert [item["id"] for item in gone.body["items"]] == [made.body["id"]]


def test_operator__revokes_a_key_under_another_tenant__is_404_and_it_stays():
    operator, guest, other = operator_key(), new_guest(), new_guest()

    refused = call(
        "POST",
        f"admin/tenants/{guest.public_id}/keys/{encode('key', other.key_id)}/revoke",
        operator,
    )

    assert (refused.status, refused.code) == (404, "key_not_found")
    assert call("GET", "me", other.key).status == 200


def test_operator__key_of_unknown_tenant__is_404():
    path = f"admin/tenants/{encode('ten', new_id())}/keys"

    assert call("POST", path, operator_key(), {"name": "x"}).code == "tenant_not_found"


def test_revoke__own_key__is_refused_at_the_next_request():
    guest = new_guest()

    revoked = call("POST", f"keys/{encode('key', guest.key_id)}/revoke", guest.key)

    assert revoked.body["status"] == "revoked"
    assert call("GET", "keys", guest.key).code == "key_disabled"


def test_last_used__after_a_request__is_shown():
    guest = new_guest()

    found = call("GET", f"keys/{encode('key', guest.key_id)}", guest.key)

    assert found.body["last_used_at"] is not None


def test_platform_keys__created_listed_and_revoked():
    operator = operator_key()

    made = call(
        "POST", "admin/platform-keys", operator, {"name": "gateway", "permissions": ["keys:verify"]}
    )
    listed = call("GET", "admin/platform-keys?limit=1", operator).body["items"]
    used = call("POST", "keys/verify", made.body["key"], {"key": "nonsense"})
    call("POST", f"admin/platform-keys/{made.body['id']}/revoke", operator)
    refused = call("POST", "keys/verify", made.body["key"], {"key": "nonsense"})

    assert made.status == 201
    assert made.body["key"].startswith("ikp_live_")
    assert [item["id"] for item in listed] == [made.body["id"]]
    assert (used.status, used.body["code"]) == (200, "NOT_FOUND")
    assert (refused.status, refused.code) == (401, "key_disabled")


@pytest.mark.parametrize("fields", [{}, {"permissions": []}, {"permissions": ["*:*"], "daily": 1}])
def test_platform_keys__without_power_or_with_limits__are_400(fields):
    refused = call("POST", "admin/platform-keys", operator_key(), {"name": "x", **fields})

    assert refused.status == 400


def test_platform_keys__beyond_the_callers_own__are_403():
    issuer = operator_key("platform_keys:create")

    refused = call(
        "POST", "admin/platform-keys", issuer, {"name": "x", "permissions": ["tenants:create"]}
    )

    assert (refused.status, refused.code) == (403, "permission_ceiling")


def test_me__as_tenant_key_and_as_platform_key__tells_who():
    guest, operator = new_guest(), operator_key("me:read")

    own = call("GET", "me", guest.key).body
    bare = call("GET", "me", operator).body
    named = call("GET", "me", operator, innkeeper_tenant=guest.public_id).body

    assert (own["kind"], own["tenant"], own["permissions"]) == (
        "tenant_key",
        guest.public_id,
        ["*:*"],
    )
    assert own["id"] == encode("key", guest.key_id)
    assert (bare["kind"], bare["tenant"]) == ("platform_key", None)
    assert named["tenant"] == guest.public_id


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
def test_verify__media_type__is_json_or_unsaid(said, status):
    answer = client().generic(
        "POST",
        "/api/v1/keys/verify",
        b'{"key": "nonsense"}',
        content_type=said,
        headers={"Authorization": f"Bearer {operator_key()}"},
    )
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["code"] == "unsupported_media_type"
