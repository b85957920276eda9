"""What entitlements, grants and history look like, for the OpenAPI document.

Names with capitals are those of OpenMeter's contract.
"""

# ruff: noqa: N815

from typing import Any

from rest_framework import serializers

from billing.entitlements.models import EntitlementType, ExpiryUnit

_INTERVAL = "DAY, WEEK, MONTH, YEAR, or whole days or months as ISO 8601."
_AMOUNT = "A number, or its exact decimal text."


class RecurringInputSerializer(serializers.Serializer[Any]):
    """An interval that recurs, counted from an anchor, civil in the customer's time zone."""

    interval = serializers.CharField(help_text=_INTERVAL)
    anchor = serializers.DateTimeField(required=False)


class RecurringSerializer(RecurringInputSerializer):
    """An interval that recurs."""

    intervalISO = serializers.CharField()


class ExpirationSerializer(serializers.Serializer[Any]):
    """A number of units after a grant's start."""

    duration = serializers.ChoiceField(ExpiryUnit.values)
    count = serializers.IntegerField(min_value=1)


class NewGrantSerializer(serializers.Serializer[Any]):
    """A grant to be."""

    amount = serializers.FloatField(help_text=_AMOUNT)
    effectiveAt = serializers.DateTimeField()
    priority = serializers.IntegerField(required=False, help_text="Lower burns first; default 1.")
    expiration = ExpirationSerializer(required=False)
    minRolloverAmount = serializers.FloatField(required=False, help_text="Default 0.")
    maxRolloverAmount = serializers.FloatField(required=False)
    recurrence = RecurringInputSerializer(required=False)
    metadata = serializers.DictField(child=serializers.CharField(), required=False)
    annotations = serializers.DictField(required=False)


class GrantSerializer(NewGrantSerializer):
    """A grant."""

    id = serializers.CharField(help_text="grt_…")
    entitlementId = serializers.CharField(help_text="ent_…")
    amountDecimal = serializers.CharField(help_text="Exact.")
    recurrence = RecurringSerializer(required=False)
    nextRecurrence = serializers.DateTimeField(required=False)
    expiresAt = serializers.DateTimeField(required=False)
    voidedAt = serializers.DateTimeField(required=False)
    deletedAt = serializers.DateTimeField(required=False)
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()


class GrantPageSerializer(serializers.Serializer[Any]):
    """A numbered page of grants."""

    totalCount = serializers.IntegerField()
    page = serializers.IntegerField()
    pageSize = serializers.IntegerField()
    items = GrantSerializer(many=True)


class NewEntitlementSerializer(serializers.Serializer[Any]):
    """An entitlement to be. Metered ones need a usagePeriod, static ones a config."""

    type = serializers.ChoiceField(EntitlementType.values)
    featureKey = serializers.CharField(required=False, help_text="This, or featureId.")
    featureId = serializers.CharField(required=False)
    metadata = serializers.DictField(child=serializers.CharField(), required=False)
    config = serializers.CharField(required=False, help_text="An object, as JSON text.")
    usagePeriod = RecurringInputSerializer(required=False)
    isSoftLimit = serializers.BooleanField(required=False)
    measureUsageFrom = serializers.CharField(
        required=False, help_text="CURRENT_PERIOD_START, NOW (default) or a time that has passed."
    )
    issueAfterReset = serializers.FloatField(
        required=False, help_text="What each usage period grants by itself."
    )
    issueAfterResetPriority = serializers.IntegerField(required=False)
    issue = serializers.DictField(required=False, help_text="The same as {amount, priority}.")
    preserveOverageAtReset = serializers.BooleanField(required=False)
    grants = NewGrantSerializer(many=True, required=False)


class SpanSerializer(serializers.Serializer[Any]):
    """A time [from, to)."""

    to = serializers.DateTimeField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the member whose name is a word of Python."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class EntitlementSerializer(serializers.Serializer[Any]):
    """An entitlement: of a customer in version 2, named by a subject in version 1."""

    id = serializers.CharField(help_text="ent_…")
    type = serializers.ChoiceField(EntitlementType.values)
    source = serializers.CharField(  # type: ignore[assignment]  # DRF's own name
        help_text="entitlement: the customer's own; plan: of its plan or an override."
    )
    featureKey = serializers.CharField()
    featureId = serializers.CharField(help_text="ftr_…")
    customerId = serializers.CharField(required=False, help_text="ten_…")
    customerKey = serializers.CharField(required=False)
    subjectKey = serializers.CharField(required=False)
    metadata = serializers.DictField(child=serializers.CharField())
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    deletedAt = serializers.DateTimeField(required=False)
    activeFrom = serializers.DateTimeField()
    activeTo = serializers.DateTimeField(required=False)
    config = serializers.CharField(required=False, help_text="Static: an object as JSON text.")
    isSoftLimit = serializers.BooleanField(required=False, help_text="This and more: metered.")
    isUnlimited = serializers.BooleanField(required=False)
    preserveOverageAtReset = serializers.BooleanField(required=False)
    issueAfterReset = serializers.FloatField(required=False)
    issueAfterResetPriority = serializers.IntegerField(required=False)
    issue = serializers.DictField(required=False)
    usagePeriod = RecurringSerializer(required=False)
    currentUsagePeriod = SpanSerializer(required=False)
    lastReset = serializers.DateTimeField(required=False)
    measureUsageFrom = serializers.DateTimeField(required=False)


class EntitlementPageSerializer(serializers.Serializer[Any]):
    """A numbered page of entitlements."""

    totalCount = serializers.IntegerField()
    page = serializers.IntegerField()
    pageSize = serializers.IntegerField()
    items = EntitlementSerializer(many=True)


class ResetSerializer(serializers.Serializer[Any]):
    """How a usage period is ended early."""

    effectiveAt = serializers.DateTimeField(required=False, help_text="Default: now.")
    retainAnchor = serializers.BooleanField(required=False)
    preserveOverage = serializers.BooleanField(
        required=False, help_text="Default: as the entitlement says."
    )


class UsageWindowSerializer(serializers.Serializer[Any]):
    """A window in which something was used."""

    period = SpanSerializer()
    usage = serializers.FloatField()
    balanceAtStart = serializers.FloatField()


class BurndownSerializer(serializers.Serializer[Any]):
    """A time in which no grant changed."""

    period = SpanSerializer()
    usage = serializers.FloatField()
    overage = serializers.FloatField(help_text="What no grant had covered at its end.")
    balanceAtStart = serializers.FloatField()
    grantBalancesAtStart = serializers.DictField(child=serializers.FloatField())
    balanceAtEnd = serializers.FloatField()
    grantBalancesAtEnd = serializers.DictField(child=serializers.FloatField())
    grantUsages = serializers.ListField(child=serializers.DictField())


class HistorySerializer(serializers.Serializer[Any]):
    """The history of a metered entitlement."""

    windowedHistory = UsageWindowSerializer(many=True)
    burndownHistory = BurndownSerializer(many=True)
