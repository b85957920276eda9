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
EVENT_VOIDED: Final = Action(
    "usage.event_voided",
    Severity.WARNING,
    "{actor} made {target} count for nothing",
    help="A usage event was voided; it stays listed.",
)
EVENT_CORRECTED: Final = Action(
    "usage.event_corrected",
    Severity.WARNING,
    "{actor} corrected {target}",
    help="A usage event counts with other data from now on; what was sent stays listed.",
)
ALL: Final = (METER_CREATED, METER_UPDATED, METER_DELETED, EVENT_VOIDED, EVENT_CORRECTED)
