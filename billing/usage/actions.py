"""What usage writes into the audit log."""

from typing import Final

from audit.registry import Action, Severity

METER_CREATED: Final = Action(
    "meter.created", Severity.NOTICE, "{actor} created {target}", help="A meter was defined."
)
METER_UPDATED: Final = Action(
    "meter.updated", Severity.NOTICE, "{actor} changed {target}", help="A meter was changed."
)
METER_DELETED: Final = Action(
    "meter.deleted", Severity.WARNING, "{actor} deleted {target}", help="A meter was deleted."
)
ALL: Final = (METER_CREATED, METER_UPDATED, METER_DELETED)
