"""Routes of entitlements and grants: ``v1`` below /api/v1/, ``v2`` below /api/v2/."""

from collections.abc import Iterator
from typing import Final

from django.urls import URLPattern, path

from billing.api.grants.entitlements import Entitlements, OneEntitlement, Override, Reset
from billing.api.grants.grants import Grants, History, SubjectValue
from billing.api.grants.lists import (
    AllEntitlements,
    AllEntitlementsV2,
    AllGrants,
    AllGrantsV2,
    AnyEntitlement,
    AnyEntitlementV2,
    OneGrant,
)


def _below(place: str) -> Iterator[URLPattern]:
    one = f"{place}/entitlements/<str:feature>"
    yield path(f"{place}/entitlements", Entitlements.as_view())
    yield path(one, OneEntitlement.as_view())
    yield path(f"{one}/override", Override.as_view())
    yield path(f"{one}/grants", Grants.as_view())
    yield path(f"{one}/history", History.as_view())
    yield path(f"{one}/reset", Reset.as_view())


v1: Final = [
    path("entitlements", AllEntitlements.as_view()),
    path("entitlements/<str:entitlement>", AnyEntitlement.as_view()),
    path("grants", AllGrants.as_view()),
    path("grants/<str:grant>", OneGrant.as_view()),
    *_below("subjects/<path:subject>"),
    path("subjects/<path:subject>/entitlements/<str:feature>/value", SubjectValue.as_view()),
]

v2: Final = [
    path("entitlements", AllEntitlementsV2.as_view()),
    path("entitlements/<str:entitlement>", AnyEntitlementV2.as_view()),
    path("grants", AllGrantsV2.as_view()),
    *_below("customers/<str:customer>"),
]
