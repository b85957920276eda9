"""Adding, changing and removing the members of the tenant of the context."""

from typing import Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError
from django.utils import timezone

from accounts import queries
from accounts.actions import MEMBER_ADDED, MEMBER_CHANGED, MEMBER_REMOVED
from accounts.events import MemberAdded, MemberChanged, MemberRemoved
from accounts.models import Membership
from accounts.models.members import MAX_NAME
from accounts.models.users import MAX_EMAIL, normal_email
from accounts.roles import OWNER, Role, role_of
from accounts.services.granting import require_ceiling
from audit.services import audited, record
from kernel import db
from kernel.errors import Conflict, FieldError, Invalid
from kernel.events import emit
from kernel.ids import new_id
from kernel.tenancy import current_tenant
from kernel.tenancy.direct import Direct

_ROWS: Final = Direct(Membership)


def add(*, email: str, role: str, name: str = "") -> Membership:
    """Make the person of ``email`` a member, known to Innkeeper or not.

    Raises:
        kernel.errors.Invalid: no e-mail address, or no such role.
        kernel.errors.Forbidden: the role has permissions that the caller lacks.
        kernel.errors.Conflict: they are a member already (code ``already_member``).
    """
    granted = role_of(role)
    require_ceiling(granted.permissions, "/role")
    return join(current_tenant(), email=email, role=granted, name=name)


def join(tenant_id: UUID, *, email: str, role: Role, name: str = "") -> Membership:
    """Make somebody a member without asking what the caller may grant: for the operator's acts.

    Raises:
        kernel.errors.Invalid: no e-mail address.
        kernel.errors.Conflict: they are a member already (code ``already_member``).
    """
    address = _checked_email(email)
    member = Membership(tenant_id=tenant_id, email=address, name=_checked_name(name), role=role.key)
    with audited():
        member.user_id = _person(address)
        _insert(member)
        record(
            action=MEMBER_ADDED.name,
            target_type="member",
            target_id=member.public_id,
            after={"email": member.email, "name": member.name, "role": member.role},
            tenant_id=tenant_id,
        )
        emit(MemberAdded(tenant_id=tenant_id, member=member.public_id, role=member.role))
    return member


def change(member_id: UUID, *, role: str | None = None, name: str | None = None) -> Membership:
    """Change a member's role, name or both; without a difference nothing is recorded.

    Raises:
        kernel.errors.NotFound: no such member of this tenant.
        kernel.errors.Invalid: no such role.
        kernel.errors.Forbidden: the old or the new role has permissions that the caller lacks.
        kernel.errors.Conflict: they are the last owner (code ``last_owner``).
    """
    with audited():
        member, owners = _locked(member_id)
        before = {"role": member.role, "name": member.name}
        if role is not None and role != member.role:
            _change_role(member, role_of(role), owners)
        if name is not None:
            member.name = _checked_name(name)
        after = {"role": member.role, "name": member.name}
        if after == before:
            return member
        (member,) = _ROWS.update(
            "role = $1::text, name = $2::text, updated_at = $3::timestamptz",
            "id = $4::uuid",
            [member.role, member.name, timezone.now(), member.id],
        )
        record(
            action=MEMBER_CHANGED.name,
            target_type="member",
            target_id=member.public_id,
            before=before,
            after=after,
            tenant_id=member.tenant_id,
        )
        emit(
            MemberChanged(
                tenant_id=member.tenant_id,
                member=member.public_id,
                role=member.role,
                was=before["role"],
            )
        )
    return member


def remove(member_id: UUID) -> None:
    """End a membership; the person stays what they are elsewhere.

    Raises:
        kernel.errors.NotFound: no such member of this tenant.
        kernel.errors.Forbidden: their role has permissions that the caller lacks.
        kernel.errors.Conflict: they are the last owner (code ``last_owner``).
    """
    with audited():
        member, owners = _locked(member_id)
        require_ceiling(role_of(member.role).permissions, "/role")
        _keep_an_owner(member, owners)
        shown = member.public_id
        record(
            action=MEMBER_REMOVED.name,
            target_type="member",
            target_id=shown,
            before={"email": member.email, "name": member.name, "role": member.role},
            tenant_id=member.tenant_id,
        )
        emit(MemberRemoved(tenant_id=member.tenant_id, member=shown, role=member.role))
        member.delete()


def _locked(member_id: UUID) -> tuple[Membership, list[Membership]]:
    """Lock the tenant's owners and the member, all in one order; give both.

    Of two owners who leave at the same moment the second waits here, sees the first gone, and is
    the last one.
    """
    locked = _ROWS.read(
        "role = $1::text OR id = $2::uuid", [OWNER.key, member_id], "ORDER BY id FOR UPDATE"
    )
    member = next((one for one in locked if one.id == member_id), None)
    if member is None:
        raise queries.members.missing()
    return member, [one for one in locked if one.role == OWNER.key]


def _change_role(member: Membership, role: Role, owners: list[Membership]) -> None:
    require_ceiling(role_of(member.role).permissions, "/role")
    require_ceiling(role.permissions, "/role")
    _keep_an_owner(member, owners)
    member.role = role.key


def _keep_an_owner(leaving: Membership, owners: list[Membership]) -> None:
    if leaving.role == OWNER.key and all(owner.id == leaving.id for owner in owners):
        raise Conflict(
            "A tenant keeps one owner at least; make somebody else an owner first.",
            code="last_owner",
        )


def _person(email: str) -> UUID:
    """Name the person of an e-mail address through the one door that the app role has."""
    found: UUID = db.rows("SELECT accounts_user_for($1, $2)", [email, new_id()])[0][0]
    return found


def _insert(member: Membership) -> None:
    try:
        _ROWS.insert(member)
    except IntegrityError as error:
        if "accounts_membership_user" in str(error):
            raise Conflict(
                "This person is a member already.", code="already_member", pointer="/email"
            ) from error
        raise


def _checked_email(text: str) -> str:
    address = normal_email(text)
    try:
        validate_email(address)
    except ValidationError:
        address = ""
    if not address or len(address) > MAX_EMAIL:
        fault = FieldError("/email", "invalid_email", "This is no e-mail address.")
        raise Invalid("The input has faults; see errors.", errors=[fault])
    return address


def _checked_name(text: str) -> str:
    name = text.strip()
    if len(name) > MAX_NAME:
        fault = FieldError("/name", "invalid_name", f"A name has {MAX_NAME} characters at most.")
        raise Invalid("The input has faults; see errors.", errors=[fault])
    return name
