"""Routes of the billing app: ``urlpatterns`` below /api/v1/, ``v2`` below /api/v2/."""

from typing import Final

from django.urls import URLPattern, URLResolver, path

from billing.api.access import AccessQuery
from billing.api.customers import Customers, OneCustomer
from billing.api.entitlements import AccessView, EntitlementValueV2View, EntitlementValueView
from billing.api.features import Features, OneFeature
from billing.api.grants import urls as grants
from billing.api.plans import Plans, TenantPlan
from billing.api.quotas import VERBS
from billing.api.subjects import OneSubject, Subjects
from billing.api.thresholds import Thresholds
from billing.api.usage import FeatureUsage
from billing.usage.api.urls import urlpatterns as usage
from billing.usage.api.urls import v2 as usage_v2

_ENTITLEMENT: Final = "customers/<str:customer>/entitlements/<str:feature>"
_VALUE: Final = f"{_ENTITLEMENT}/value"

urlpatterns: list[URLPattern | URLResolver] = [
    *usage,
    path("access/query", AccessQuery.as_view()),
    path("usage/thresholds", Thresholds.as_view()),
    path("usage/features", FeatureUsage.as_view()),
    path("plans", Plans.as_view()),
    path("admin/tenants/<str:tenant>/plan", TenantPlan.as_view()),
    path("features", Features.as_view()),
    path("features/<str:feature>", OneFeature.as_view()),
    path("customers", Customers.as_view()),
    path("customers/<str:customer>", OneCustomer.as_view()),
    path("customers/<str:customer>/access", AccessView.as_view()),
    path(_VALUE, EntitlementValueView.as_view()),
    *(path(f"{_ENTITLEMENT}/{verb}", view) for verb, view in VERBS.items()),
    *grants.v1,
    path("subjects", Subjects.as_view()),
    path("subjects/<path:subject>", OneSubject.as_view()),
]

v2: Final[list[URLPattern | URLResolver]] = [
    *usage_v2,
    path(_VALUE, EntitlementValueV2View.as_view()),
    *grants.v2,
]
