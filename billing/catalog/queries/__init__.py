"""Reads of the catalogue. Published plan versions are immutable and so kept in memory for good."""

from billing.catalog.queries.features import (
    FeatureFact,
    feature_by_key,
    feature_fact,
    feature_facts,
    live_features,
)
from billing.catalog.queries.plans import (
    PlanContent,
    content_of,
    newest_version_id,
    plans_on_offer,
    revenue_tier,
)

__all__ = [
    "FeatureFact",
    "PlanContent",
    "content_of",
    "feature_by_key",
    "feature_fact",
    "feature_facts",
    "live_features",
    "newest_version_id",
    "plans_on_offer",
    "revenue_tier",
]
