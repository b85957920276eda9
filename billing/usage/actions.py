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
USAGE_EXPORTED: Final = Action(
    "usage.exported",
    Severity.NOTICE,
    "{actor} exported the usage of {target}",
    help="Figures of a meter left as a file.",
)
EVENTS_EXPORTED: Final = Action(
    "usage.events_exported",
    Severity.NOTICE,
    "{actor} exported usage events",
    help="Usage events left as a file.",
)
ALL: Final = (
    METER_CREATED,
    METER_UPDATED,
    METER_DELETED,
    EVENT_VOIDED,
    EVENT_CORRECTED,
    USAGE_EXPORTED,
    EVENTS_EXPORTED,
)
