"""What accounts writes into the audit log."""

from typing import Final

from audit.registry import Action, Severity

KEY_CREATED: Final = Action(
    "key.created", Severity.NOTICE, "{actor} created {target}", help="A tenant key was issued."
)
KEY_REVOKED: Final = Action(
    "key.revoked", Severity.NOTICE, "{actor} revoked {target}", help="A tenant key ended for good."
)
KEY_ROTATED: Final = Action(
    "key.rotated",
    Severity.NOTICE,
    "{actor} rotated {target}",
    help="A tenant key was replaced by one with another secret; it ends itself soon after.",
)
PLATFORM_KEY_CREATED: Final = Action(
    "platform_key.created",
    Severity.CRITICAL,
    "{actor} created {target}",
    help="A key of the operator was issued.",
)
PLATFORM_KEY_REVOKED: Final = Action(
    "platform_key.revoked",
    Severity.WARNING,
    "{actor} revoked {target}",
    help="A key of the operator ended for good.",
)
PLATFORM_KEY_ROTATED: Final = Action(
    "platform_key.rotated",
    Severity.CRITICAL,
    "{actor} rotated {target}",
    help="A key of the operator was replaced by one with another secret.",
)
MEMBER_ADDED: Final = Action(
    "member.added",
    Severity.NOTICE,
    "{actor} added {target} to {tenant}",
    personal=["email", "name"],
    help="A person became a member of the tenant.",
)
MEMBER_CHANGED: Final = Action(
    "member.changed",
    Severity.NOTICE,
    "{actor} changed {target}",
    personal=["name"],
    help="A member's role or name changed.",
)
MEMBER_REMOVED: Final = Action(
    "member.removed",
    Severity.NOTICE,
    "{actor} removed {target} from {tenant}",
    personal=["email", "name"],
    help="A person is no member of the tenant any more.",
)
STAFF_CREATED: Final = Action(
    "staff.created",
    Severity.CRITICAL,
    "{actor} made {target} staff",
    personal=["email"],
    help="A person may use the operator's site.",
)
STAFF_APPOINTED: Final = Action(
    "staff.appointed",
    Severity.CRITICAL,
    "{actor} put {target} into staff groups",
    personal=["email"],
    help="A person is staff with what these groups may do, and no superuser.",
)
STAFF_GROUP_CHANGED: Final = Action(
    "staff.group_changed",
    Severity.CRITICAL,
    "{actor} changed the staff group {target}",
    help="What a group of the operator's staff may do over the API changed.",
)
STAFF_SIGNED_IN: Final = Action(
    "staff.signed_in", Severity.INFO, "{actor} signed in", help="A person opened a staff session."
)
STAFF_SIGN_IN_FAILED: Final = Action(
    "staff.sign_in_failed",
    Severity.WARNING,
    "Somebody failed to sign in",
    personal=["email"],
    help="Wrong e-mail or password on the operator's site.",
)

ALL: Final = (
    KEY_CREATED,
    KEY_REVOKED,
    KEY_ROTATED,
    PLATFORM_KEY_CREATED,
    PLATFORM_KEY_REVOKED,
    PLATFORM_KEY_ROTATED,
    MEMBER_ADDED,
    MEMBER_CHANGED,
    MEMBER_REMOVED,
    STAFF_APPOINTED,
    STAFF_CREATED,
    STAFF_GROUP_CHANGED,
    STAFF_SIGNED_IN,
    STAFF_SIGN_IN_FAILED,
)
