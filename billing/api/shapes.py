"""What plans, features, customers and entitlements look like, for the OpenAPI document.

Names with capitals are those of OpenMeter's contract.
"""

# ruff: noqa: N815

from typing import Any

from rest_framework import serializers

from billing.catalog.models import Interval, Kind

UNLIMITED_OR_NUMBER = 'A whole number, or {"unlimited": true}.'


class CustomerInputSerializer(serializers.Serializer[Any]):
    """Everything that is said of a customer; what is absent is empty."""

    name = serializers.CharField(max_length=200)
    key = serializers.CharField(
        required=False, help_text="The tenant's slug, a lower-case DNS label. It never changes."
    )
    usageAttribution = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text='{"subjectKeys": […]}: the subjects of the operator\'s events that are its own.',
    )
    description = serializers.CharField(required=False)
    primaryEmail = serializers.CharField(required=False)
    currency = serializers.CharField(required=False, help_text="As in ISO 4217.")
    billingAddress = serializers.DictField(child=serializers.CharField(), required=False)
    metadata = serializers.DictField(child=serializers.CharField(), required=False)


class NewCustomerSerializer(CustomerInputSerializer):
    """A customer to be."""

    plan = serializers.CharField(required=False, help_text="A plan's key; default basic.")


class CustomerSerializer(serializers.Serializer[Any]):
    """A customer: a tenant."""

    id = serializers.CharField(help_text="ten_…")
    key = serializers.CharField(help_text="The tenant's slug.")
    name = serializers.CharField()
    description = serializers.CharField(required=False)
    primaryEmail = serializers.CharField(required=False)
    billingAddress = serializers.DictField(child=serializers.CharField(), required=False)
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    deletedAt = serializers.DateTimeField(required=False)
    usageAttribution = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text='{"subjectKeys": […]}: the subjects of the operator\'s events that are its own.',
    )
    metadata = serializers.DictField(child=serializers.CharField())
    currency = serializers.CharField(required=False)
    currentSubscriptionId = serializers.CharField(required=False)
    subscriptions = serializers.ListField(child=serializers.DictField(), required=False)


class CustomerPageSerializer(serializers.Serializer[Any]):
    """A numbered page of customers."""

    totalCount = serializers.IntegerField()
    page = serializers.IntegerField()
    pageSize = serializers.IntegerField()
    items = CustomerSerializer(many=True)


class FeatureInputSerializer(serializers.Serializer[Any]):
    """A feature to be."""

    key = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=256)
    metadata = serializers.DictField(child=serializers.CharField(), required=False)
    meterSlug = serializers.CharField(required=False, help_text="A meter of the operator.")
    meterGroupByFilters = serializers.DictField(child=serializers.CharField(), required=False)
    advancedMeterGroupByFilters = serializers.DictField(
        child=serializers.DictField(), required=False
    )


class FeatureSerializer(serializers.Serializer[Any]):
    """A feature of the catalogue."""

    id = serializers.CharField(help_text="ftr_…")
    key = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    unit = serializers.CharField()
    options = serializers.DictField()
    metadata = serializers.DictField(child=serializers.CharField())
    meterSlug = serializers.CharField(required=False)
    meterGroupByFilters = serializers.DictField(child=serializers.CharField(), required=False)
    advancedMeterGroupByFilters = serializers.DictField(required=False)
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    archivedAt = serializers.DateTimeField(required=False)


class BurstSerializer(serializers.Serializer[Any]):
    """Requests a second on average, and at once."""

    rate = serializers.IntegerField()
    depth = serializers.IntegerField()


class LimitsSerializer(serializers.Serializer[Any]):
    """The limits of a plan, per UTC day."""

    daily_requests = serializers.JSONField(help_text=UNLIMITED_OR_NUMBER)
    daily_webhooks = serializers.JSONField(help_text=UNLIMITED_OR_NUMBER)
    burst = BurstSerializer(allow_null=True)


class PlanSerializer(serializers.Serializer[Any]):
    """The newest published version of a plan."""

    id = serializers.CharField(help_text="pln_…")
    key = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(["active"])
    currency = serializers.CharField()
    limits = LimitsSerializer()
    features = serializers.DictField(help_text="Granted values by feature key.")
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    billingCadence = serializers.CharField(help_text="ISO 8601 duration.")
    phases = serializers.ListField(child=serializers.DictField())
    validationErrors = serializers.ListField(child=serializers.DictField())


class PlanPageSerializer(serializers.Serializer[Any]):
    """All plans on offer, on one page."""

    totalCount = serializers.IntegerField()
    page = serializers.IntegerField()
    pageSize = serializers.IntegerField()
    items = PlanSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class TenantPlanSerializer(serializers.Serializer[Any]):
    """The plan of a tenant, and since when."""

    tenant = serializers.CharField(help_text="ten_…")
    plan = serializers.CharField()
    version = serializers.IntegerField()
    subscription = serializers.CharField(help_text="sub_…")
    since = serializers.DateTimeField()
    limits = LimitsSerializer()


class PlanChoiceSerializer(serializers.Serializer[Any]):
    """Which plan a tenant shall have."""

    plan = serializers.CharField(help_text="A plan's key.")


class EntitlementValueSerializer(serializers.Serializer[Any]):
    """The value of an entitlement. Members other than hasAccess depend on its type."""

    hasAccess = serializers.BooleanField()
    type = serializers.ChoiceField(["boolean", "static", "metered"], required=False)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # DRF's own name
        ["plan", "override", "entitlement"], required=False
    )
    expiresAt = serializers.DateTimeField(required=False, help_text="When the override ends.")
    config = serializers.CharField(required=False, help_text="Static: an object as JSON text.")
    value = serializers.JSONField(required=False, help_text="Static: the value itself.")
    unlimited = serializers.BooleanField(required=False)
    balance = serializers.FloatField(required=False)
    usage = serializers.FloatField(required=False)
    overage = serializers.FloatField(required=False)
    totalAvailableGrantAmount = serializers.FloatField(required=False)
    remaining = serializers.FloatField(required=False, help_text="Balance less reservations.")
    reserved = serializers.FloatField(required=False)
    balanceDecimal = serializers.CharField(required=False, help_text="Exact, as all …Decimal.")
    usageDecimal = serializers.CharField(required=False)
    overageDecimal = serializers.CharField(required=False)
    totalAvailableGrantAmountDecimal = serializers.CharField(required=False)
    remainingDecimal = serializers.CharField(required=False)
    reservedDecimal = serializers.CharField(required=False)
    softLimit = serializers.BooleanField(required=False)
    period = serializers.ChoiceField([interval.value for interval in Interval], required=False)
    periodStart = serializers.DateTimeField(required=False)
    resetAt = serializers.DateTimeField(required=False)
    exhaustedAt = serializers.DateTimeField(
        required=False, help_text="When it is used up at the last hour's rate, if before resetAt."
    )
    accessReturnsAt = serializers.DateTimeField(
        required=False,
        help_text="Where there is no access: when more may be used, at resetAt or before.",
    )
    remainingSeconds = serializers.IntegerField(required=False, help_text="Until exhaustedAt.")


class EntitlementValueV2Serializer(EntitlementValueSerializer):
    """The value of an entitlement with the balances of its grants."""

    grantBalances = serializers.DictField(child=serializers.FloatField(), required=False)


class AccessSerializer(serializers.Serializer[Any]):
    """What a customer may use, by feature key."""

    entitlements = serializers.DictField(child=EntitlementValueSerializer())


class AccessQuestionSerializer(serializers.Serializer[Any]):
    """Whose access, and to what."""

    customers = serializers.ListField(
        child=serializers.CharField(), max_length=100, help_text="Ids (ten_…) or keys."
    )
    features = serializers.ListField(
        child=serializers.CharField(),
        max_length=100,
        required=False,
        help_text="Keys. Absent: all that is granted.",
    )


class CustomerAccessSerializer(AccessSerializer):
    """What one customer may use."""

    id = serializers.CharField(help_text="ten_…")
    key = serializers.CharField()


class ManyAccessSerializer(serializers.Serializer[Any]):
    """What many customers may use."""

    customers = CustomerAccessSerializer(many=True)
    notFound = serializers.ListField(
        child=serializers.CharField(), help_text="What names no customer that the caller may see."
    )


class SubjectInputSerializer(serializers.Serializer[Any]):
    """A subject to be described: absent members stay, null clears."""

    key = serializers.CharField()
    displayName = serializers.CharField(required=False, allow_null=True)
    metadata = serializers.DictField(required=False, allow_null=True)
    currentPeriodStart = serializers.DateTimeField(required=False, allow_null=True)
    currentPeriodEnd = serializers.DateTimeField(required=False, allow_null=True)
    stripeCustomerId = serializers.CharField(required=False, allow_null=True)


class SubjectSerializer(SubjectInputSerializer):
    """A subject."""

    id = serializers.CharField(help_text="sbj_…")
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()


class ConsumeSerializer(serializers.Serializer[Any]):
    """A use."""

    quantity = serializers.DecimalField(38, 12, required=False, help_text="Above 0; default 1.")
    subject = serializers.CharField(required=False, help_text="Whom it concerns.")
    groups = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Values of the meter's groups."
    )


class ReserveSerializer(serializers.Serializer[Any]):
    """A hold."""

    quantity = serializers.DecimalField(38, 12, required=False, help_text="Above 0; default 1.")
    ttlSeconds = serializers.IntegerField(required=False, min_value=1, max_value=86_400)


class CommitSerializer(serializers.Serializer[Any]):
    """The use of a hold."""

    reservation = serializers.CharField(help_text="hld_…")
    quantity = serializers.DecimalField(38, 12, required=False, help_text="Default: all of it.")
    subject = serializers.CharField(required=False, help_text="Whom it concerns.")


class ReleaseSerializer(serializers.Serializer[Any]):
    """The end of a hold."""

    reservation = serializers.CharField(help_text="hld_…")


class AmountsSerializer(serializers.Serializer[Any]):
    """A quantity, and the tightest quota after it; each with an exact …Decimal beside."""

    quantity = serializers.FloatField()
    quantityDecimal = serializers.CharField()
    limit = serializers.FloatField(required=False)
    used = serializers.FloatField(required=False)
    reserved = serializers.FloatField(required=False)
    remaining = serializers.FloatField(required=False)
    resetAt = serializers.DateTimeField(required=False)
    exhaustedAt = serializers.DateTimeField(
        required=False, help_text="When it is used up at the last hour's rate, if before resetAt."
    )
    remainingSeconds = serializers.IntegerField(required=False, help_text="Until exhaustedAt.")


class QuotaUseSerializer(AmountsSerializer):
    """What was used."""

    eventId = serializers.CharField(help_text="The id of the usage event.")


class ReservationSerializer(AmountsSerializer):
    """What is held."""

    id = serializers.CharField(help_text="hld_…")
    state = serializers.ChoiceField(["held"])
    expiresAt = serializers.DateTimeField()
