"""The log's own actions."""

from typing import Final

from audit.registry import Action, Severity

ACCESS_DENIED: Final = Action(
    "access.denied",
    Severity.WARNING,
    "{actor} was refused {target}",
    help="A request was refused for want of a permission or a valid credential.",
)
DATA_READ: Final = Action(
    "data.read",
    Severity.INFO,
    "{actor} read {target}",
    help="Someone read data whose reading is itself of interest.",
)
EVENTS_VIEWED: Final = Action(
    "audit.events.viewed", Severity.INFO, "{actor} read the audit log", help="A page was read."
)
EPOCH_OPENED: Final = Action(
    "audit.epoch.opened",
    Severity.CRITICAL,
    "{target} continues a log that lost published entries",
    help="After a restore the log could not go on; entry 0 holds the last checkpoint.",
)
ALL: Final = (ACCESS_DENIED, DATA_READ, EVENTS_VIEWED, EPOCH_OPENED)
