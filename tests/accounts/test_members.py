"""Members and roles: who may be made what, and that an owner stays."""

import threading

import pytest

from accounts import queries
from accounts.models import Membership, User
from accounts.services import members
from audit.models import Event
from kernel import db
from kernel.authz import Principal, PrincipalKind, set_principal
from kernel.errors import Conflict, Forbidden, Invalid, NotFound
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tests.guests import call, fresh, inside, new_guest, new_key, new_tenant, system


def email():
    return f"{fresh('p')}@example.com"


def add(tenant_id, role="member", address=None, **fields):
    with inside(tenant_id):
        return members.add(email=address or email(), role=role, **fields)


def test_add__same_person_in_two_tenants__is_one_person_under_two_names():
    first, second, address = new_tenant(), new_tenant(), email()

    one = add(first.id, address=address.upper(), name="Ada")
    other = add(second.id, address=f" {address} ", name="A. Lovelace")

    assert one.user_id == other.user_id
    assert (one.email, one.name, other.name) == (address, "Ada", "A. Lovelace")
    with system():
        user = User.objects.get(email=address)
    assert (user.name, user.is_staff, user.has_usable_password()) == ("", False, False)


def test_add__a_member_already__conflicts():
    tenant, address = new_tenant(), email()
    add(tenant.id, address=address)

    with pytest.raises(Conflict) as refused:
        add(tenant.id, address=address, role="admin")

    assert refused.value.code == "already_member"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": ""}, "/email"),
        ({"email": f"{'a' * 250}@b.example"}, "/email"),
        ({"role": "king"}, "/role"),
        ({"name": "n" * 201}, "/name"),
    ],
)
def test_add__faulty__points_at_the_fault(fields, pointer):
    tenant = new_tenant()

    with inside(tenant.id), pytest.raises(Invalid) as refused:
        members.add(**{"email": email(), "role": "member", **fields})

    assert [fault.pointer for fault in refused.value.errors] == [pointer]


def test_add__role_beyond_the_callers_own__is_refused():
    tenant = new_tenant()

    with tenant_context(tenant.id):
        set_principal(
            Principal(PrincipalKind.TENANT_KEY, new_id(), permissions=frozenset({"members:*"}))
        )
        with pytest.raises(Forbidden):
            members.add(email=email(), role="owner")
        assert not Membership.objects.exists()


def test_remove__last_owner__is_refused_and_stays():
    tenant = new_tenant()
    owner = add(tenant.id, "owner")

    with inside(tenant.id):
        with pytest.raises(Conflict) as refused:
            members.remove(owner.id)
        with pytest.raises(Conflict):
            members.change(owner.id, role="admin")
        still = queries.members.by_id(owner.id)

    assert refused.value.code == "last_owner"
    assert still.role == "owner"


def test_remove__one_of_two_owners__leaves_the_other():
    tenant = new_tenant()
    first, second = add(tenant.id, "owner"), add(tenant.id, "owner")

    with inside(tenant.id):
        members.remove(first.id)
        left = [member.id for member in queries.members.listed()]

    assert left == [second.id]


def test_remove__both_owners_at_once__one_stays():
    tenant = new_tenant()
    owners = [add(tenant.id, "owner"), add(tenant.id, "owner")]
    together, outcomes = threading.Barrier(2), []

    def leave(member):
        try:
            with inside(tenant.id):
                together.wait()
                members.remove(member.id)
            outcomes.append("left")
        except Conflict as refused:
            outcomes.append(refused.code)
        finally:
            db.connection().close()

    threads = [threading.Thread(target=leave, args=[owner]) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["last_owner", "left"]
    with inside(tenant.id):
        assert queries.members.listed().filter(role="owner").count() == 1


def test_change__an_owner_by_an_admin__is_refused():
    guest = new_guest()
    owner = add(guest.id, "owner")
    add(guest.id, "owner")
    admin = new_key(guest.id, "members:*").text

    refused = call("PATCH", f"members/{owner.public_id}", admin, {"role": "member"})

    assert (refused.status, refused.code) == (403, "permission_ceiling")


def test_change__nothing_differs__records_nothing():
    tenant = new_tenant()
    member = add(tenant.id, "member", name="Ada")

    with inside(tenant.id):
        members.change(member.id, role="member", name="Ada")
        changed = Event.objects.filter(action="member.changed")
        assert not changed.filter(target_id=member.public_id).exists()


def test_another_tenants_member__is_not_found_by_any_verb():
    guest, other = new_guest(), new_tenant()
    theirs = add(other.id)

    with inside(guest.id):
        for act in (
            lambda: members.remove(theirs.id),
            lambda: members.change(theirs.id, role="admin"),
            lambda: queries.members.by_id(theirs.id),
        ):
            with pytest.raises(NotFound):
                act()

    with inside(other.id):
        assert queries.members.by_id(theirs.id).role == "member"


def test_log__of_a_member__holds_no_plain_address():
    tenant, address = new_tenant(), email()

    member = add(tenant.id, address=address, name="Ada Lovelace")

    with inside(tenant.id):
        entry = Event.objects.get(action="member.added", target_id=member.public_id)
    assert address.encode() not in bytes(entry.leaf)
    assert b"Lovelace" not in bytes(entry.leaf)


def test_routes__create_read_change_delete():
    guest, address = new_guest(), email()

    made = call("POST", "members", guest.key, {"email": address, "role": "developer"})
    path = f"members/{made.body['id']}"
    changed = call("PATCH", path, guest.key, {"role": "billing", "name": "Bo"})
    read = call("GET", path, guest.key)
    listed = call("GET", "members", guest.key)
    deleted = call("DELETE", path, guest.key)

    assert made.status == 201
    assert made.body["user"].startswith("usr_")
    assert (changed.body["role"], changed.body["name"]) == ("billing", "Bo")
    assert read.body == changed.body
    assert listed.body == {"items": [read.body], "next": None}
    assert (deleted.status, deleted.content) == (204, b"")
    assert call("GET", path, guest.key).status == 404


def test_person__under_the_app_role__is_out_of_reach():
    tenant = new_tenant()

    with inside(tenant.id), pytest.raises(Exception, match="permission denied"):
        User.objects.first()
