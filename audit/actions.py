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
PII_ERASED: Final = Action(
    "audit.pii.erased",
    Severity.NOTICE,
    "{actor} erased {target} from the audit log",
    help="A person's values were erased; entries and proofs stay.",
)
KEY_ROTATED: Final = Action(
    "audit.key.rotated", Severity.WARNING, "{actor} rotated {target}", help="New signing keys."
)
SCHEMA_DECLARED: Final = Action(
    "audit.schema.declared",
    Severity.NOTICE,
    "{actor} declared {target}",
    help="A tenant declared an action of its own applications, or a new version of one.",
)
EXPORTED: Final = Action(
    "audit.log.exported", Severity.NOTICE, "{actor} exported the audit log", help="A log left."
)
PRUNED: Final = Action(
    "audit.retention.pruned",
    Severity.NOTICE,
    "Entries of {target} were pruned",
    help="Entries beyond their retention lost their bytes; hashes and proofs stay.",
)
RETENTION_CHANGED: Final = Action(
    "audit.retention.changed",
    Severity.WARNING,
    "{actor} changed how long {target} is kept",
    help="A rule of retention was set or taken away.",
)
LOG_DAMAGED: Final = Action(
    "audit.log.damaged",
    Severity.CRITICAL,
    "{target} is not intact",
    help="The nightly verification found faults; audit_verify names them.",
)
VIEWER_CREATED: Final = Action(
    "audit.viewer.created",
    Severity.NOTICE,
    "{actor} made the viewer token {target}",
    help="Somebody may read the log within a filter for a while.",
)
VIEWER_REVOKED: Final = Action(
    "audit.viewer.revoked",
    Severity.NOTICE,
    "{actor} revoked the viewer token {target}",
    help="The token is refused from the next request on.",
)
HOLD_SET: Final = Action(
    "audit.hold.set",
    Severity.WARNING,
    "{actor} set the legal hold {target}",
    help="What the hold covers is neither pruned nor erased.",
)
HOLD_RELEASED: Final = Action(
    "audit.hold.released",
    Severity.WARNING,
    "{actor} released the legal hold {target}",
    help="What the hold covered follows the rules again.",
)
STREAM_CREATED: Final = Action(
    "audit.stream.created", Severity.WARNING, "{actor} began the stream {target}",
    help="A log is sent to a receiver outside.",
)  # fmt: skip
STREAM_PAUSED: Final = Action(
    "audit.stream.paused", Severity.WARNING, "{actor} paused the stream {target}",
    help="By hand, or by itself after failing for days or when the receiver is gone.",
)  # fmt: skip
STREAM_RESUMED: Final = Action(
    "audit.stream.resumed", Severity.NOTICE, "{actor} resumed the stream {target}",
    help="It goes on from where it stopped, or begins anew.",
)  # fmt: skip
STREAM_DELETED: Final = Action(
    "audit.stream.deleted", Severity.WARNING, "{actor} ended the stream {target}",
    help="Nothing is sent any more, and its secret is forgotten.",
)  # fmt: skip
STREAM_TESTED: Final = Action(
    "audit.stream.tested", Severity.INFO, "{actor} tested the stream {target}",
    help="A message without content is sent to its receiver.",
)  # fmt: skip
ANCHOR_CONFIGURED: Final = Action(
    "audit.anchor.configured", Severity.WARNING, "{target} anchors the log",
    help="An anchor was added to the settings of the instance, or points elsewhere.",
)  # fmt: skip
ANCHOR_REMOVED: Final = Action(
    "audit.anchor.removed", Severity.WARNING, "{target} no longer anchors the log",
    help="An anchor was taken out of the settings of the instance.",
)  # fmt: skip
ANCHOR_FAILING: Final = Action(
    "audit.anchor.failing", Severity.WARNING, "{target} has failed for some time",
    help="An anchor does not take the log's state. Sealing goes on.",
)  # fmt: skip
ANCHOR_RECOVERED: Final = Action(
    "audit.anchor.recovered", Severity.NOTICE, "{target} anchors the log again",
    help="An anchor that had failed for some time works again.",
)  # fmt: skip
ALL: Final = (
    VIEWER_CREATED,
    VIEWER_REVOKED,
    LOG_DAMAGED,
    PRUNED,
    RETENTION_CHANGED,
    HOLD_SET,
    HOLD_RELEASED,
    ACCESS_DENIED,
    DATA_READ,
    EVENTS_VIEWED,
    EPOCH_OPENED,
    PII_ERASED,
    KEY_ROTATED,
    SCHEMA_DECLARED,
    EXPORTED,
    STREAM_CREATED,
    STREAM_PAUSED,
    STREAM_RESUMED,
    STREAM_DELETED,
    STREAM_TESTED,
    ANCHOR_CONFIGURED,
    ANCHOR_REMOVED,
    ANCHOR_FAILING,
    ANCHOR_RECOVERED,
)
