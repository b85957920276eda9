"""The catalogue that Innkeeper ships: ``catalog.toml`` as typed, checked data."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from billing.catalog.models.features import KEY_LENGTH, KEY_PATTERN
from billing.catalog.models.values import Kind, Stored, read, write

SOURCE = Path(__file__).resolve().parent.parent / "catalog.toml"


@dataclass(frozen=True, slots=True)
class ShippedFeature:
    """A feature of the shipped catalogue; the fields are those of the model."""

    key: str
    kind: Kind
    name: str
    description: str
    meter: str
    plan_limit: str
    unit: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShippedPlan:
    """A plan with the content of its first version. None means unlimited."""

    key: str
    name: str
    description: str
    daily_requests: int | None
    daily_webhooks: int | None
    burst_rate: int
    burst_depth: int
    monthly_price: int
    currency: str
    grants: dict[str, Stored]


@dataclass(frozen=True, slots=True)
class ShippedTier:
    """A revenue tier: yearly revenue in whole dollars, [lower, upper), and the plan offered."""

    key: str
    name: str
    lower: int
    upper: int | None
    plan: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """The whole shipped catalogue, in the order of the file."""

    features: tuple[ShippedFeature, ...]
    plans: tuple[ShippedPlan, ...]
    tiers: tuple[ShippedTier, ...]


def load(source: Path = SOURCE) -> Shipped:
    """Read and check the catalogue file.

    Raises:
        ValueError: a malformed key, a gap between tiers.
        kernel.errors.Invalid: a value that its feature does not allow.
        KeyError: a plan that names an unknown feature, or a missing entry.
    """
    raw = tomllib.loads(source.read_text(encoding="utf-8"))
    features = tuple(_feature(entry) for entry in raw["features"])
    by_key = {feature.key: feature for feature in features}
    plans = tuple(_plan(entry, by_key) for entry in raw["plans"])
    tiers = tuple(_tier(entry) for entry in raw["revenue_tiers"])
    _check_tiers(tiers, {plan.key for plan in plans})
    return Shipped(features, plans, tiers)


def _key(text: str) -> str:
    if len(text) > KEY_LENGTH or not re.fullmatch(KEY_PATTERN, text):
        raise ValueError(f"{text!r} is no catalogue key")
    return text


def _feature(entry: dict[str, Any]) -> ShippedFeature:
    return ShippedFeature(
        key=_key(entry["key"]),
        kind=Kind(entry["kind"]),
        name=entry["name"],
        description=entry.get("description", ""),
        meter=entry.get("meter", ""),
        plan_limit=entry.get("plan_limit", ""),
        unit=entry.get("unit", ""),
        options=entry.get("options", {}),
    )


def _plan(entry: dict[str, Any], features: dict[str, ShippedFeature]) -> ShippedPlan:
    limits, price = entry["limits"], entry["price"]
    grants: dict[str, Stored] = {}
    for key, raw in entry["features"].items():
        feature = features[key]
        pointer = f"/plans/{entry['key']}/features/{key}"
        grants[key] = write(read(feature.kind, raw, feature.options, pointer))
    return ShippedPlan(
        key=_key(entry["key"]),
        name=entry["name"],
        description=entry.get("description", ""),
        daily_requests=_bound(limits["daily_requests"]),
        daily_webhooks=_bound(limits["daily_webhooks"]),
        burst_rate=limits["burst"]["rate"],
        burst_depth=limits["burst"]["depth"],
        monthly_price=price["monthly_minor"],
        currency=price["currency"],
        grants=grants,
    )


def _bound(raw: int | dict[str, bool]) -> int | None:
    if isinstance(raw, int):
        return raw
    if raw == {"unlimited": True}:
        return None
    raise ValueError(f"{raw!r} is neither a number nor {{unlimited = true}}")


def _tier(entry: dict[str, Any]) -> ShippedTier:
    lower, upper = entry.get("from", 0), entry.get("to")
    return ShippedTier(_key(entry["key"]), entry["name"], lower, upper, entry["plan"])


def _check_tiers(tiers: tuple[ShippedTier, ...], plans: set[str]) -> None:
    """Tiers start at 0, follow each other without a gap, and the last is open."""
    expected: int | None = 0
    for tier in tiers:
        if tier.plan not in plans:
            raise ValueError(f"revenue tier {tier.key!r} offers the unknown plan {tier.plan!r}")
        if tier.lower != expected:
            raise ValueError(f"revenue tier {tier.key!r} starts at {tier.lower}, not {expected}")
        expected = tier.upper
    if expected is not None:
        raise ValueError("the last revenue tier must be open")
