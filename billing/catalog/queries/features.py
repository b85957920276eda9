"""Reads of features."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.db import models

from billing.catalog.models import Feature, Kind, PlanLimit
from billing.catalog.models.features import FEATURE_PREFIX
from billing.catalog.models.values import THRESHOLDS
from kernel import db, ids
from kernel.errors import NotFound

_FACTS = ("id", "key", "kind", "meter", "plan_limit", "options", "group_filters")
_LIVE: Final = (
    "SELECT id, key, kind, meter, plan_limit, options, group_filters FROM billing_feature"
    " WHERE archived_at IS NULL ORDER BY key"
)


@dataclass(frozen=True, slots=True)
class FeatureFact:
    """What evaluation needs to know of a feature.

    ``thresholds`` are percentages of its limit whose crossing is told, where no value says others;
    ``group_filters`` say which of the meter's groups count, ``options`` what else values obey.
    """

    id: UUID
    key: str
    kind: Kind
    meter: str = ""
    plan_limit: str = ""
    thresholds: tuple[int, ...] = THRESHOLDS
    group_filters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def counted_by_gate(self) -> bool:
        """Tell whether the gate's own request counter is what the feature counts."""
        return self.plan_limit == PlanLimit.DAILY_REQUESTS

    @property
    def has_quota(self) -> bool:
        """Tell whether the feature is counted in quota windows: only where all groups count."""
        return self.kind is Kind.METERED and not self.counted_by_gate and not self.group_filters


def live_features(
    meters: Sequence[str] = (), *, archived: bool = False
) -> models.QuerySet[Feature]:
    """Give the features by key, of the named meters if any; archived ones only if asked."""
    rows = Feature.objects.order_by("key")
    if meters:
        rows = rows.filter(meter__in=meters)
    return rows if archived else rows.filter(archived_at=None)


def feature_by_key(id_or_key: str) -> Feature:
    """Find a feature by its id (``ftr_…``) or key; archived ones too.

    Raises:
        kernel.errors.NotFound: there is none.
    """
    named = ids.read(FEATURE_PREFIX, id_or_key)
    rows = Feature.objects.all()
    found = (rows.filter(key=id_or_key) if named is None else rows.filter(id=named)).first()
    if found is None:
        raise NotFound("There is no such feature.")
    return found


def feature_facts() -> dict[str, FeatureFact]:
    """Read what evaluation needs of all live features, by key."""
    facts = [_kept(*row) for row in db.rows(_LIVE)]
    return {fact.key: fact for fact in facts}


def feature_fact(key: str) -> FeatureFact | None:
    """Read what evaluation needs of one live feature; None where there is none."""
    row = live_features().filter(key=key).values_list(*_FACTS).first()
    return None if row is None else _fact(row)


@lru_cache(maxsize=4_096)
def _kept(*row: Any) -> FeatureFact:
    """Make the fact of a row as it was read; the same row is the same fact."""
    *texts, options, group_filters = row
    return _fact((*texts, json.loads(options), json.loads(group_filters)))


def _fact(row: Sequence[Any]) -> FeatureFact:
    id_, key, kind, meter, plan_limit, options, group_filters = row
    percents = tuple(options.get("thresholds", THRESHOLDS))
    return FeatureFact(id_, key, Kind(kind), meter, plan_limit, percents, group_filters, options)
