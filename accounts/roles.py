"""The built-in roles: named sets of permissions that a person has in a tenant.

A role may name permissions of any app, as text: the test of this module checks that each of them is
registered, or covers one that is. Custom roles, later, may not take these names.
"""

from dataclasses import dataclass
from typing import Final

from kernel.errors import FieldError, Invalid


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of grants; ``label`` and ``help`` are for people."""

    key: str
    label: str
    help: str
    permissions: tuple[str, ...]


OWNER: Final = Role("owner", "Owner", "Everything in the tenant, other owners included.", ("*:*",))
ADMIN: Final = Role(
    "admin",
    "Administrator",
    "Everything but making and removing owners.",
    (
        "audit:*",
        "customers:*",
        "entitlements:*",
        "events:*",
        "features:*",
        "keys:*",
        "me:*",
        "members:*",
        "meters:*",
        "plans:read",
        "roles:*",
        "subjects:*",
        "tenant:*",
        "usage:*",
    ),
)
DEVELOPER: Final = Role(
    "developer",
    "Developer",
    "Builds on the API: keys, meters, events and entitlements.",
    (
        "customers:read",
        "entitlements:consume",
        "entitlements:read",
        "events:read",
        "events:write",
        "features:read",
        "keys:create",
        "keys:read",
        "keys:revoke",
        "keys:rotate",
        "keys:verify",
        "me:read",
        "members:read",
        "meters:read",
        "meters:write",
        "plans:read",
        "roles:read",
        "subjects:read",
        "subjects:write",
        "tenant:read",
        "usage:read",
    ),
)
BILLING: Final = Role(
    "billing",
    "Billing",
    "Sees what the tenant buys, uses and pays.",
    (
        "customers:read",
        "entitlements:read",
        "events:read",
        "features:read",
        "me:read",
        "members:read",
        "meters:read",
        "plans:read",
        "subjects:read",
        "tenant:read",
        "usage:read",
    ),
)
AUDITOR: Final = Role(
    "auditor",
    "Auditor",
    "Reads everything, the audit log too, and changes nothing.",
    ("*:read",),
)
MEMBER: Final = Role(
    "member",
    "Member",
    "Sees the tenant, its features and its usage.",
    ("entitlements:read", "features:read", "me:read", "tenant:read", "usage:read"),
)
BUILT_IN: Final = {role.key: role for role in (OWNER, ADMIN, DEVELOPER, BILLING, AUDITOR, MEMBER)}


def role_of(key: str) -> Role:
    """Look up a role.

    Raises:
        kernel.errors.Invalid: no such role (pointer ``/role``).
    """
    role = BUILT_IN.get(key)
    if role is None:
        known = ", ".join(BUILT_IN)
        raise Invalid(
            "The input has faults; see errors.",
            errors=[FieldError("/role", "unknown_role", f"There is no role {key}.", known)],
        )
    return role
