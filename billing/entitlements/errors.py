"""What can go wrong with entitlements beyond the kernel's kinds."""

from datetime import datetime

from billing.usage.exact import text_of
from kernel.errors import Conflict
from kernel.gate.quota import Standing


class OverrideOverlapError(Conflict):
    """Another override of the tenant and feature holds during a part of the same time."""

    code = "override_overlap"


class QuotaUsedUpError(Conflict):
    """A use does not fit into what is left of a quota. It never asks to be retried: see resetAt.

    ``returns_at`` is when more may be used, if that is known: at the end of the period or before.
    """

    code = "quota_exceeded"

    def __init__(self, standing: Standing, returns_at: datetime | None = None) -> None:
        amounts = {
            "limit": standing.hard_limit,
            "used": standing.used,
            "reserved": standing.reserved,
            "remaining": standing.remaining,
        }
        returns = {} if returns_at is None else {"accessReturnsAt": returns_at}
        super().__init__(
            f"The quota of {standing.feature} does not cover this.",
            extensions={
                "feature": standing.feature,
                **{name: text_of(amount) for name, amount in amounts.items() if amount is not None},
                "resetAt": standing.end,
                **returns,
            },
        )


class ReservationEndedError(Conflict):
    """The reservation is committed, released or expired: its state is final."""

    def __init__(self, state: str) -> None:
        super().__init__(
            f"The reservation is {state}.", code=f"reservation_{state}", extensions={"state": state}
        )


class EntitlementExistsError(Conflict):
    """The tenant holds an entitlement of the feature already."""

    code = "entitlement_exists"

    def __init__(self, feature: str, entitlement: str) -> None:
        super().__init__(
            f"The customer has an entitlement of {feature}.",
            pointer="/featureKey",
            extensions={"conflictingEntityId": entitlement},
        )


class EntitlementOfPlanError(Conflict):
    """The entitlement comes from the plan, and so cannot be deleted by itself."""

    code = "entitlement_of_plan"
