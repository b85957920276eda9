"""Setting and reading the quota of the shipped metered feature."""

from decimal import Decimal

from billing.catalog.models import Feature, Kind
from billing.catalog.queries import feature_by_key
from billing.entitlements.services.overrides import NewOverride, grant
from billing.usage.models import Meter
from kernel.ids import new_id
from tests.billing.house import call, change_of, staff


def limit(house, amount, **facts):
    """Give the tenant a limit of its own."""
    with staff():
        feature = feature_by_key("processed_units")
        given = {"limit": amount, **facts}
        grant(NewOverride(tenant_id=house.id, feature=feature, value=given, reason="test"))


def value(house):
    """Read the entitlement."""
    path = f"v1/customers/{house.slug}/entitlements/processed_units/value"
    return call(house.key, "GET", path)


def metered(house):
    """Read the meter over all time."""
    path = "v1/meters/processed_units/query?from=2026-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
    rows = call(house.key, "GET", path)["data"]
    return Decimal(rows[0]["valueDecimal"]) if rows else Decimal(0)


def metered_feature():
    """Make a metered feature of its own meter, which no plan grants; give its key."""
    key = f"f{new_id().hex}"
    with staff(), change_of("feature"):
        Meter(
            slug=key, event_type=key, aggregation="SUM", value_property="$.quantity",
            value_path=["quantity"], ready=True,
        ).save()  # fmt: skip
        Feature(key=key, name=key, kind=Kind.METERED, meter=key).save()
    return key
