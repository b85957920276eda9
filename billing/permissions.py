"""What may be done with plans, features, entitlements and subjects."""

from typing import Final

from billing.usage import permissions as usage
from kernel.authz import Permission

PLANS_READ: Final = Permission("plans:read", "See plans", "The plans and what each grants.")
PLANS_ASSIGN: Final = Permission(
    "plans:assign", "Change a tenant's plan", "The operator's: moves a tenant to another plan."
)
FEATURES_READ: Final = Permission("features:read", "See features", "The features of the catalogue.")
FEATURES_WRITE: Final = Permission(
    "features:write", "Manage features", "The operator's: create and archive features."
)
CUSTOMERS_WRITE: Final = Permission(
    "customers:write", "Manage customers", "A tenant its own profile, the operator every customer."
)
CUSTOMERS_READ: Final = Permission(
    "customers:read", "See customers", "A tenant sees itself, the operator every tenant."
)
ENTITLEMENTS_READ: Final = Permission(
    "entitlements:read", "See entitlements", "What a tenant may use, and how much is left."
)
ENTITLEMENTS_CONSUME: Final = Permission(
    "entitlements:consume", "Use quotas", "Consume, reserve, commit and release metered use."
)
ENTITLEMENTS_MANAGE: Final = Permission(
    "entitlements:manage", "Change entitlements", "The operator's: overrides and grants."
)
SUBJECTS_READ: Final = Permission("subjects:read", "See subjects", "Whom usage concerns.")
SUBJECTS_WRITE: Final = Permission("subjects:write", "Describe subjects", "Create, change, delete.")

ALL: Final = (
    PLANS_READ,
    PLANS_ASSIGN,
    FEATURES_READ,
    FEATURES_WRITE,
    CUSTOMERS_READ,
    CUSTOMERS_WRITE,
    ENTITLEMENTS_READ,
    ENTITLEMENTS_CONSUME,
    ENTITLEMENTS_MANAGE,
    SUBJECTS_READ,
    SUBJECTS_WRITE,
    *usage.ALL,
)
