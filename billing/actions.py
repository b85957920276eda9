"""What billing writes into the audit log."""

from typing import Final

from audit.registry import Action, Severity
from billing.usage import actions as usage

PLAN_CHANGED: Final = Action(
    "subscription.changed",
    Severity.NOTICE,
    "{actor} moved {tenant} to another plan",
    help="A tenant got a plan version, from now on.",
)
PLAN_VERSION_PUBLISHED: Final = Action(
    "plan.published",
    Severity.NOTICE,
    "{actor} published {target}",
    help="A plan version became the one that tenants get; it never changes again.",
)
FEATURE_CREATED: Final = Action(
    "feature.created", Severity.INFO, "{actor} created {target}", help="A feature was added."
)
OVERRIDE_GRANTED: Final = Action(
    "override.granted",
    Severity.NOTICE,
    "{actor} gave {tenant} an override",
    help="A tenant got its own value of a feature, for a time or for good.",
)
OVERRIDE_PAUSED: Final = Action(
    "override.paused",
    Severity.NOTICE,
    "{actor} paused or resumed {target}",
    help="An override was switched off or on again without ending it.",
)
OVERRIDE_REVOKED: Final = Action(
    "override.revoked",
    Severity.NOTICE,
    "{actor} revoked {target}",
    help="An override was ended for good.",
)
ENTITLEMENT_CREATED: Final = Action(
    "entitlement.created",
    Severity.NOTICE,
    "{actor} gave {tenant} an entitlement",
    help="A tenant got an entitlement of its own, or one in the place of another.",
)
ENTITLEMENT_DELETED: Final = Action(
    "entitlement.deleted",
    Severity.NOTICE,
    "{actor} deleted {target}",
    help="A tenant's own entitlement ended, with its grants; what the plan says holds.",
)
ENTITLEMENT_RESET: Final = Action(
    "entitlement.reset",
    Severity.NOTICE,
    "{actor} reset the usage period of {target}",
    help="A usage period was ended early, and the next one began.",
)
GRANT_CREATED: Final = Action(
    "grant.created",
    Severity.NOTICE,
    "{actor} granted {tenant} an amount",
    help="A tenant may use an amount of a metered entitlement, for a time or for good.",
)
GRANT_VOIDED: Final = Action(
    "grant.voided",
    Severity.NOTICE,
    "{actor} voided {target}",
    help="What was left of a grant cannot be used any more.",
)
CUSTOMER_CHANGED: Final = Action(
    "customer.changed",
    Severity.INFO,
    "{actor} described the customer {tenant}",
    personal=["primary_email", "billing_address", "description", "metadata"],
    help="Profile or subjects of a customer were written.",
)
FEATURE_ARCHIVED: Final = Action(
    "feature.archived",
    Severity.NOTICE,
    "{actor} archived {target}",
    help="A feature is granted to nobody from now on.",
)
SUBJECT_WRITTEN: Final = Action(
    "subject.written",
    Severity.INFO,
    "{actor} described {target}",
    personal=["display_name"],
    help="A subject was created or changed.",
)
SUBJECT_DELETED: Final = Action(
    "subject.deleted", Severity.INFO, "{actor} deleted {target}", help="A description went away."
)

ALL: Final = (
    PLAN_CHANGED,
    PLAN_VERSION_PUBLISHED,
    FEATURE_CREATED,
    FEATURE_ARCHIVED,
    CUSTOMER_CHANGED,
    OVERRIDE_GRANTED,
    OVERRIDE_PAUSED,
    OVERRIDE_REVOKED,
    ENTITLEMENT_CREATED,
    ENTITLEMENT_DELETED,
    ENTITLEMENT_RESET,
    GRANT_CREATED,
    GRANT_VOIDED,
    SUBJECT_WRITTEN,
    SUBJECT_DELETED,
    *usage.ALL,
)
