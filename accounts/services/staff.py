"""The operator's people. Runs across tenants (alias staff)."""

from collections.abc import Sequence

from django.contrib.auth.models import Group

from accounts.actions import STAFF_APPOINTED, STAFF_CREATED, STAFF_GROUP_CHANGED
from accounts.models import StaffGrant, User
from accounts.models.users import normal_email
from audit.services import audited, record
from kernel.authz import PERMISSION_PATTERN
from kernel.errors import FieldError, Invalid


def create_superuser(email: str, password: str) -> User:
    """Make a person who may do everything on the operator's site, or give one that power.

    An existing person keeps their id and gets the password.
    """
    address = normal_email(email)
    with audited():
        user = User.objects.select_for_update().filter(email=address).first()
        user = user or User(email=address)
        user.is_staff = user.is_superuser = user.is_active = True
        user.set_password(password)
        user.save()
        record(
            action=STAFF_CREATED.name,
            target_type="user",
            target_id=user.public_id,
            after={"email": user.email, "superuser": True},
        )
    return user


def set_group(name: str, permissions: Sequence[str]) -> Group:
    """Make a group of staff, or change what it may do over the API to exactly these permissions.

    It holds from the next request of its people on. Without a difference nothing is recorded.

    Raises:
        kernel.errors.Invalid: a permission is not ``resource:action``.
    """
    faults = [
        FieldError(f"/permissions/{place}", "invalid_permission", f"{one!r} is no resource:action.")
        for place, one in enumerate(permissions)
        if not PERMISSION_PATTERN.fullmatch(one)
    ]
    if faults:
        raise Invalid("The input has faults; see errors.", errors=faults)
    wanted = sorted(set(permissions))
    with audited():
        group, made = Group.objects.select_for_update().get_or_create(name=name)
        grants = StaffGrant.objects.filter(group=group)
        before = sorted(grants.values_list("permission", flat=True))
        if before == wanted and not made:
            return group
        grants.exclude(permission__in=wanted).delete()
        StaffGrant.objects.bulk_create(
            StaffGrant(group=group, permission=one) for one in wanted if one not in before
        )
        record(
            action=STAFF_GROUP_CHANGED.name,
            target_type="staff_group",
            target_id=name,
            before=None if made else {"permissions": before},
            after={"permissions": wanted},
        )
    return group


def appoint(email: str, password: str, groups: Sequence[str]) -> User:
    """Make a person staff with what these groups may do, and nothing else; no superuser.

    An existing person keeps their id, gets the password and is in these groups only.

    Raises:
        kernel.errors.Invalid: there is no such group (pointer ``/groups``).
    """
    address = normal_email(email)
    with audited():
        found = list(Group.objects.filter(name__in=groups))
        if missing := set(groups) - {group.name for group in found}:
            raise Invalid(
                f"There is no group {sorted(missing)[0]!r}.",
                code="unknown_group",
                pointer="/groups",
            )
        user = User.objects.select_for_update().filter(email=address).first()
        user = user or User(email=address)
        user.is_staff = user.is_active = True
        user.is_superuser = False
        user.set_password(password)
        user.save()
        user.groups.set(found)
        record(
            action=STAFF_APPOINTED.name,
            target_type="user",
            target_id=user.public_id,
            after={"email": user.email, "groups": sorted(group.name for group in found)},
        )
    return user
