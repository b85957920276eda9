"""Permissions that usage guards."""

from typing import Final

from kernel.authz import Permission

EVENTS_READ: Final = Permission("events:read", "Read usage events", "List what was reported.")
EVENTS_WRITE: Final = Permission("events:write", "Report usage events", "Send CloudEvents.")
EVENTS_AMEND: Final = Permission(
    "events:amend", "Void and correct usage events", "Change what reported usage counts for."
)
METERS_READ: Final = Permission("meters:read", "Read meters", "List and query meters.")
METERS_WRITE: Final = Permission("meters:write", "Manage meters", "Create, change, delete meters.")
USAGE_READ: Final = Permission("usage:read", "Read usage", "See the usage of the current period.")
ALL: Final = (EVENTS_READ, EVENTS_WRITE, EVENTS_AMEND, METERS_READ, METERS_WRITE, USAGE_READ)
