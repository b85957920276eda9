"""Write the shipped catalogue (billing/catalog/catalog.toml) where its keys are missing."""

from typing import Any

from django.db import migrations
from django.utils import timezone

from billing.catalog.models.shipped import Shipped, ShippedPlan, load

# Meters that the shipped features count and that usage events feed; the gate's own is usage's.
_METERS = ("processed_units", "webhook_events")


def write_catalog(apps: Any, schema_editor: Any) -> None:
    """Insert features, plans with their first published version, meters and revenue tiers."""
    alias = schema_editor.connection.alias
    shipped = load()
    features = _features(apps, alias, shipped)
    plans = {plan.key: _plan(apps, alias, plan, features) for plan in shipped.plans}
    tiers = apps.get_model("billing", "RevenueTier").objects.using(alias)
    for tier in shipped.tiers:
        facts = {"name": tier.name, "lower": tier.lower, "upper": tier.upper}
        tiers.get_or_create(key=tier.key, defaults={**facts, "plan": plans[tier.plan]})
    meters = apps.get_model("billing", "Meter")._base_manager.using(alias)
    for slug in _METERS:
        facts = {"aggregation": "SUM", "value_property": "$.quantity", "value_path": ["quantity"]}
        meters.get_or_create(slug=slug, defaults={**facts, "event_type": slug, "ready": True})


def _features(apps: Any, alias: str, shipped: Shipped) -> dict[str, Any]:
    rows = apps.get_model("billing", "Feature").objects.using(alias)
    written = {}
    for feature in shipped.features:
        names = ("name", "description", "meter", "plan_limit", "unit", "options")
        facts = {name: getattr(feature, name) for name in names}
        written[feature.key], _ = rows.get_or_create(
            key=feature.key, defaults={**facts, "kind": feature.kind.value}
        )
    return written


def _plan(apps: Any, alias: str, shipped: ShippedPlan, features: dict[str, Any]) -> Any:
    plan, created = (
        apps.get_model("billing", "Plan")
        .objects.using(alias)
        .get_or_create(
            key=shipped.key, defaults={"name": shipped.name, "description": shipped.description}
        )
    )
    if not created:
        return plan
    names = ("daily_requests", "daily_webhooks", "burst_rate", "burst_depth", "monthly_price")
    facts = {name: getattr(shipped, name) for name in names}
    version = (
        apps.get_model("billing", "PlanVersion")
        .objects.using(alias)
        .create(plan=plan, number=1, currency=shipped.currency, **facts)
    )
    apps.get_model("billing", "PlanFeature").objects.using(alias).bulk_create(
        apps.get_model("billing", "PlanFeature")(
            version=version, feature=features[key], value=value
        )
        for key, value in shipped.grants.items()
    )
    version.published_at = timezone.now()
    version.save(using=alias)
    return plan


class Migration(migrations.Migration):
    """The seed of the catalogue."""

    dependencies = [("billing", "0002_catalog")]
    operations = [migrations.RunPython(write_catalog, migrations.RunPython.noop)]
