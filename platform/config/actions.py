"""What staff do to the system itself, as the audit log tells it."""

from typing import Final

from audit.registry import Action, Severity

JOB_RETRIED: Final = Action(
    "job.retried", Severity.NOTICE, "{actor} retried {target}", help="A failed job runs again."
)
JOB_CANCELLED: Final = Action(
    "job.cancelled",
    Severity.WARNING,
    "{actor} cancelled {target}",
    help="A job that waited will not run.",
)
EVENT_REVIVED: Final = Action(
    "outbox_event.revived",
    Severity.NOTICE,
    "{actor} revived {target}",
    help="An event that nobody could handle is told again.",
)
ALL: Final = (JOB_RETRIED, JOB_CANCELLED, EVENT_REVIVED)
