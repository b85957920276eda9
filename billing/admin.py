"""Plans, features, subscriptions, overrides, meters and usage on the operator's site."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.catalog.models import Feature, Plan, PlanFeature, PlanVersion, RevenueTier
from billing.catalog.models.features import FEATURE_PREFIX
from billing.catalog.models.plans import PLAN_PREFIX, PLAN_VERSION_PREFIX
from billing.catalog.queries import plans_on_offer
from billing.entitlements.admin import OfTenant
from billing.entitlements.models import Mode, Override
from billing.entitlements.models.overrides import OVERRIDE_PREFIX
from billing.entitlements.services.overrides import (
    NewOverride,
    grant,
    overlaps,
    pause,
    revoke,
)
from billing.subscriptions.models import CustomerProfile, Subject, Subscription
from billing.subscriptions.models.subjects import SUBJECT_PREFIX
from billing.subscriptions.models.subscriptions import SUBSCRIPTION_PREFIX
from billing.subscriptions.services import assign
from billing.usage.models import Meter, UsageEvent
from billing.usage.queries.customers import public_id
from kernel.errors import DomainError
from kernel.ids import TENANT, InvalidIdError, decode
from kernel.staff import StaffModelAdmin, service_action
from tenants.queries import by_id

if TYPE_CHECKING:
    _Inline = admin.TabularInline[PlanFeature, PlanVersion]
    _Form = forms.ModelForm[Override]
else:  # Django's classes take type arguments in its stubs only
    _Inline, _Form = admin.TabularInline, forms.ModelForm


class GrantedFeatures(_Inline):
    """What a plan version grants."""

    model = PlanFeature
    fields = readonly_fields = ("feature", "value")
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is added through a form."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanFeature]:
        """Read the features along."""
        return super().get_queryset(request).select_related("feature").order_by("feature__key")


@admin.register(Plan)
class PlanAdmin(StaffModelAdmin):
    """Look up plans."""

    id_prefix = PLAN_PREFIX
    list_display = ("key", "name", "created_at", "archived_at")
    list_filter = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("key", "name")
    fields = readonly_fields = ("key", "name", "description", "created_at", "archived_at")


@admin.register(PlanVersion)
class PlanVersionAdmin(StaffModelAdmin):
    """Look up what a plan version says."""

    id_prefix = PLAN_VERSION_PREFIX
    list_display = (
        "plan", "number", "daily_requests", "daily_webhooks", "burst_rate", "burst_depth",
        "monthly_price", "currency", "published_at",
    )  # fmt: skip
    list_select_related = ("plan",)
    list_filter = ("plan",)
    search_fields = ("plan__key",)
    inlines = (GrantedFeatures,)
    fields = readonly_fields = list_display


@admin.register(Feature)
class FeatureAdmin(StaffModelAdmin):
    """Look up features."""

    id_prefix = FEATURE_PREFIX
    list_display = ("key", "name", "kind", "meter", "plan_limit", "unit", "archived_at")
    list_filter = ("kind",)
    search_fields = ("key", "name", "meter")
    fields = readonly_fields = (*list_display, "description", "options", "created_at")


@admin.register(RevenueTier)
class RevenueTierAdmin(StaffModelAdmin):
    """Look up revenue tiers."""

    list_display = ("key", "name", "lower", "upper", "currency", "plan")
    list_select_related = ("plan",)
    list_filter = ("plan",)
    search_fields = ("key", "name")
    fields = readonly_fields = list_display


def _move_to(plan: str, name: str) -> Any:
    return service_action(
        f"move_to_{plan}",
        f"Move selected tenants to {name}",
        done=f"moved to {name}",
        warning="The plan's limits and features hold from the next request on.",
        act=lambda subscription, _: assign(subscription.tenant_id, plan),
    )


@admin.register(Subscription)
class SubscriptionAdmin(OfTenant):
    """Look up which tenant has, or had, which plan; move tenants to another."""

    id_prefix = SUBSCRIPTION_PREFIX
    list_display = ("tenant", "version", "starts_at", "ends_at")
    list_select_related = ("version__plan",)
    list_filter = ("version__plan", ("ends_at", admin.EmptyFieldListFilter))
    search_fields = ("version__plan__key",)
    ordering = ("-id",)
    fields = readonly_fields = list_display

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer a move to each plan on offer."""
        found = super().get_actions(request)
        if self.has_operate_permission(request):
            for plan in plans_on_offer():
                action = _move_to(plan.key, plan.name)
                found[action.__name__] = (action, action.__name__, action.short_description)
        return found


@admin.register(Subject)
class SubjectAdmin(StaffModelAdmin):
    """Look up subjects."""

    id_prefix = SUBJECT_PREFIX
    list_display = ("key", "display_name", "whose", "created_at")
    search_fields = ("key", "display_name")
    ordering = ("key",)
    fields = readonly_fields = (*list_display, "metadata", "stripe_customer_id", "updated_at")

    @admin.display(description="tenant", ordering="scope")
    def whose(self, subject: Subject) -> str:
        """Show the tenant's id; a dash for nobody's."""
        return public_id(subject.scope) if subject.scope.int else "–"


class OverrideForm(_Form):
    """An override to be granted by the service."""

    tenant = forms.CharField(help_text="ten_…")
    value = forms.JSONField(
        help_text='true, 5, "priority", {"unlimited": true} or {"limit": 1000}, as the feature asks'
    )

    class Meta:
        model = Override
        fields = (
            "tenant", "feature", "mode", "value", "starts_at", "expires_at", "reason", "ticket",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """Let the service's rules speak at their fields."""
        cleaned = super().clean() or {}
        try:
            tenant = by_id(decode(TENANT, cleaned.get("tenant", "")))
        except (InvalidIdError, DomainError):
            raise forms.ValidationError({"tenant": "There is no such tenant."}) from None
        if self.errors:
            return cleaned
        self.new = NewOverride(
            tenant_id=tenant.id,
            feature=cleaned["feature"],
            value=cleaned["value"],
            reason=cleaned["reason"],
            mode=Mode(cleaned["mode"]),
            starts_at=cleaned["starts_at"],
            expires_at=cleaned["expires_at"],
            ticket=cleaned["ticket"],
        )
        try:
            self.new.validate()
        except DomainError as refused:
            raise forms.ValidationError(refused.detail) from refused
        if overlaps(self.new):
            raise forms.ValidationError("Another override holds during a part of this time.")
        return cleaned


@admin.register(Override)
class OverrideAdmin(OfTenant):
    """Look up overrides; grant, pause, resume and revoke them."""

    id_prefix = OVERRIDE_PREFIX
    form = OverrideForm
    list_display = (
        "tenant", "feature", "mode", "value", "starts_at", "expires_at", "paused", "revoked_at",
    )  # fmt: skip
    list_select_related = ("feature",)
    list_filter = ("feature", "paused", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("feature__key", "reason", "ticket")
    ordering = ("-id",)
    actions = (
        service_action(
            "pause",
            "Pause selected overrides",
            done="paused",
            warning="The plan's values hold from the next request on.",
            act=lambda override, _: pause(override, paused=True),
        ),
        service_action(
            "resume",
            "Resume selected overrides",
            done="resumed",
            warning="The overrides hold again from the next request on.",
            act=lambda override, _: pause(override, paused=False),
        ),
        service_action(
            "revoke",
            "Revoke selected overrides",
            done="revoked",
            warning="They end for good, from the next request on.",
            act=lambda override, _: revoke(override),
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let those grant who may run the actions: the form calls the service."""
        return self.has_operate_permission(request)

    def save_model(self, request: HttpRequest, obj: Override, form: Any, change: bool) -> None:
        """Grant it through the service; the row becomes what the service has written."""
        granted = grant(form.new)
        obj.__dict__.update(granted.__dict__)


@admin.register(Meter)
class MeterAdmin(StaffModelAdmin):
    """Look up meters."""

    list_display = ("slug", "aggregation", "event_type", "value_property", "origin", "ready")
    list_filter = ("aggregation", "origin", "ready")
    search_fields = ("slug", "event_type", "name")
    fields = readonly_fields = (
        *list_display, "scope", "name", "description", "group_by", "event_from", "metadata",
        "created_at", "updated_at", "deleted_at",
    )  # fmt: skip


@admin.register(UsageEvent)
class UsageEventAdmin(OfTenant):
    """Look up usage events. They are append-only: nobody changes one."""

    list_display = ("time", "type", "subject", "tenant", "source", "event_id")
    search_fields = ("event_id", "subject", "type")
    ordering = ("-time", "-seq")
    fields = readonly_fields = (*list_display, "data", "dataschema", "ingested_at")


@admin.register(CustomerProfile)
class CustomerProfileAdmin(OfTenant):
    """Look up how tenants are billed and described."""

    list_display = ("tenant", "primary_email", "currency", "updated_at")
    list_filter = ("currency",)
    search_fields = ("primary_email", "description")
    fields = readonly_fields = (*list_display, "description", "billing_address", "metadata")
