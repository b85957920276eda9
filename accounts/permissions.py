"""What may be done with keys, members and roles, and what a key gets when nobody says."""

from typing import Final

from kernel.authz import Permission

KEYS_READ: Final = Permission("keys:read", "See keys", "Their facts, never their secrets.")
KEYS_CREATE: Final = Permission(
    "keys:create", "Create keys", "With permissions that the creator has, no others."
)
KEYS_REVOKE: Final = Permission("keys:revoke", "Revoke keys", "At once and for good.")
KEYS_ROTATE: Final = Permission(
    "keys:rotate", "Rotate keys", "Replace those whose permissions the caller has itself."
)
KEYS_VERIFY: Final = Permission(
    "keys:verify", "Verify keys", "Ask about presented keys and count their use."
)
MEMBERS_READ: Final = Permission("members:read", "See members", "People and their roles.")
MEMBERS_CREATE: Final = Permission("members:create", "Add members", "By e-mail, with a role.")
MEMBERS_UPDATE: Final = Permission("members:update", "Change members", "Their role and name.")
MEMBERS_DELETE: Final = Permission("members:delete", "Remove members", "But never the last owner.")
ROLES_READ: Final = Permission("roles:read", "See roles", "The roles and what each may do.")
ME_READ: Final = Permission("me:read", "See oneself", "Who the caller is and what it may do.")
PLATFORM_KEYS_READ: Final = Permission("platform_keys:read", "See platform keys", "The operator's.")
PLATFORM_KEYS_CREATE: Final = Permission(
    "platform_keys:create", "Create platform keys", "The operator's: keys for its own services."
)
PLATFORM_KEYS_REVOKE: Final = Permission(
    "platform_keys:revoke", "Revoke platform keys", "The operator's: at once and for good."
)
PLATFORM_KEYS_ROTATE: Final = Permission(
    "platform_keys:rotate", "Rotate platform keys", "The operator's: replace their secrets."
)

ALL: Final = (
    KEYS_READ,
    KEYS_CREATE,
    KEYS_REVOKE,
    KEYS_ROTATE,
    KEYS_VERIFY,
    MEMBERS_READ,
    MEMBERS_CREATE,
    MEMBERS_UPDATE,
    MEMBERS_DELETE,
    ROLES_READ,
    ME_READ,
    PLATFORM_KEYS_READ,
    PLATFORM_KEYS_CREATE,
    PLATFORM_KEYS_REVOKE,
    PLATFORM_KEYS_ROTATE,
)

DEFAULT_KEY_PERMISSIONS: Final = (
    "customers:read",
    "entitlements:consume",
    "entitlements:read",
    "events:read",
    "events:write",
    "features:read",
    "keys:verify",
    "me:read",
    "meters:read",
    "plans:read",
    "subjects:read",
    "tenant:read",
    "usage:read",
)
"""What a tenant key may do when its creator names nothing: report usage, see what its tenant has
and uses, verify its tenant's keys. It manages nothing: no keys, no members, no meters."""
