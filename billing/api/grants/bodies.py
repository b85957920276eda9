"""Bodies of requests about entitlements and grants, read into what services take."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
import orjson

from billing.catalog.models.recurrence import Cadence
from billing.catalog.models.values import MAX_JSON_BYTES, quantity
from billing.entitlements.models import EntitlementType, ExpiryUnit
from billing.entitlements.models.entitlements import DEFAULT_PRIORITY
from billing.entitlements.services.entitlements import NewEntitlement
from billing.entitlements.services.grants import MOST_UNITS, NewGrant
from billing.usage.api import parameters
from kernel.errors import Invalid

Priority = Annotated[int, msgspec.Meta(ge=0, le=255)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_UNITS)]
Words = Annotated[dict[str, str], msgspec.Meta(max_length=50)]
CURRENT: Final = "CURRENT_PERIOD_START"
NOW: Final = "NOW"


class Period(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An interval that recurs, counted from an anchor."""

    interval: str
    anchor: datetime | None = None


class Expiration(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A number of units after a grant's start."""

    duration: Literal["HOUR", "DAY", "WEEK", "MONTH", "YEAR"]
    count: Count = 1


class GrantBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A grant to be."""

    amount: Any
    effective_at: datetime
    priority: Priority | None = None
    expiration: Expiration | None = None
    min_rollover_amount: Any = None
    max_rollover_amount: Any = None
    recurrence: Period | None = None
    metadata: Words | None = None
    annotations: dict[str, Any] | None = None

    def read(self, *, rolls_over: bool, pointer: str = "") -> NewGrant:
        """Check everything; ``rolls_over`` says that the default of maxRolloverAmount is all.

        Raises:
            kernel.errors.Invalid: a fault of form.
        """
        amount = quantity(self.amount, f"{pointer}/amount")
        if amount <= 0:
            raise Invalid("An amount is above 0.", pointer=f"{pointer}/amount")
        most = _amount(self.max_rollover_amount, f"{pointer}/maxRolloverAmount")
        if most is None and not rolls_over:
            most = Decimal(0)
        recurrence = self.recurrence
        return NewGrant(
            amount=amount,
            effective_at=parameters.aware(self.effective_at),
            priority=DEFAULT_PRIORITY if self.priority is None else self.priority,
            expiry=(ExpiryUnit(self.expiration.duration), self.expiration.count)
            if self.expiration
            else None,
            min_rollover=_amount(self.min_rollover_amount, f"{pointer}/minRolloverAmount")
            or Decimal(0),
            max_rollover=most,
            cadence=_cadence(recurrence, f"{pointer}/recurrence"),
            anchor=_anchor(recurrence),
            metadata=self.metadata or {},
            annotations=_annotations(self.annotations, pointer),
        )


class Issue(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What each usage period grants by itself."""

    amount: Any
    priority: Priority | None = None


class EntitlementBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An entitlement to be."""

    type: Literal["metered", "static", "boolean"]
    feature_key: str | None = None
    feature_id: str | None = None
    metadata: Words | None = None
    usage_period: Period | None = None
    config: str | dict[str, Any] | None = None
    is_soft_limit: bool = False
    is_unlimited: bool = False
    measure_usage_from: str | None = None
    issue_after_reset: Any = None
    issue_after_reset_priority: Priority | None = None
    issue: Issue | None = None
    preserve_overage_at_reset: bool = False
    grants: Annotated[list[GrantBody], msgspec.Meta(max_length=20)] = []

    def read(self, *, rolls_over: bool) -> NewEntitlement:
        """Check everything.

        Raises:
            kernel.errors.Invalid: a fault of form, or members that another type has.
        """
        feature = self.feature_key or self.feature_id
        if not feature:
            raise Invalid("Name the feature.", pointer="/featureKey")
        kind = EntitlementType(self.type)
        if kind != EntitlementType.METERED and (
            self.grants or self.issue or self.issue_after_reset is not None
        ):
            raise Invalid(f"A {kind} entitlement grants no amounts.", pointer="/type")
        if (kind == EntitlementType.STATIC) != (self.config is not None):
            raise Invalid("A static entitlement has a config, no other has.", pointer="/config")
        issue, priority = self._issue()
        measured = self.measure_usage_from
        return NewEntitlement(
            type=kind,
            feature=feature,
            config=_config(self.config),
            metadata=self.metadata or {},
            cadence=_cadence(self.usage_period, "/usagePeriod"),
            anchor=_anchor(self.usage_period),
            measure_from=None if measured in {None, NOW, CURRENT} else _time(measured),
            whole_period=measured == CURRENT,
            soft=self.is_soft_limit,
            issue=issue,
            issue_priority=priority,
            preserve_overage=self.preserve_overage_at_reset,
            grants=[
                grant.read(rolls_over=rolls_over, pointer=f"/grants/{place}")
                for place, grant in enumerate(self.grants)
            ],
        )

    def _issue(self) -> tuple[Decimal | None, int]:
        """Read what a period issues; ``issue`` and ``issueAfterReset`` say the same twice."""
        amount, priority, pointer = self.issue_after_reset, self.issue_after_reset_priority, ""
        if self.issue is not None:
            amount, priority, pointer = self.issue.amount, self.issue.priority, "/issue/amount"
        read = _amount(amount, pointer or "/issueAfterReset")
        return read, DEFAULT_PRIORITY if priority is None else priority


class ResetBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How a usage period is ended early."""

    effective_at: datetime | None = None
    retain_anchor: bool = False
    preserve_overage: bool | None = None


def _amount(raw: object, pointer: str) -> Decimal | None:
    return None if raw is None else quantity(raw, pointer)


def _cadence(period: Period | None, pointer: str) -> Cadence | None:
    return None if period is None else Cadence.parse(period.interval, f"{pointer}/interval")


def _anchor(period: Period | None) -> datetime | None:
    if period is None or period.anchor is None:
        return None
    return parameters.aware(period.anchor)


def _time(text: str | None) -> datetime:
    try:
        return parameters.aware(msgspec.convert(text, datetime))
    except msgspec.ValidationError:
        raise Invalid(
            f"Use is measured from {CURRENT}, {NOW} or a time.", pointer="/measureUsageFrom"
        ) from None


def _config(raw: str | dict[str, Any] | None) -> Mapping[str, Any] | None:
    """Read a config: an object, or the text of one."""
    if raw is None:
        return None
    try:
        config = orjson.loads(raw) if isinstance(raw, str) else raw
    except orjson.JSONDecodeError:
        config = None
    if not isinstance(config, dict) or len(orjson.dumps(config)) > MAX_JSON_BYTES:
        raise Invalid(
            f"A config is the JSON text of an object of at most {MAX_JSON_BYTES} bytes.",
            pointer="/config",
        )
    return config


def _annotations(raw: dict[str, Any] | None, pointer: str) -> dict[str, Any]:
    if raw is not None and len(orjson.dumps(raw)) > MAX_JSON_BYTES:
        raise Invalid("The annotations are too large.", pointer=f"{pointer}/annotations")
    return raw or {}
