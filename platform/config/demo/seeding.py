"""What the demo consists of. Runs as the system, across tenants (alias staff)."""

import secrets
from pathlib import Path
from typing import Any, Final, TypedDict

from django.contrib.auth.hashers import check_password

from accounts import queries
from accounts.models import User
from accounts.services import keys, platform_keys, staff
from accounts.services.issuing import NewKey
from billing.usage.models import OPERATOR, Aggregation, Meter
from billing.usage.services import meters
from config.demo import keeping
from kernel.gate.admission import admit
from kernel.gate.projection import Override
from kernel.tenancy import tenant_context
from tenants.models import Tenant
from tenants.services import NewTenant, create

USERNAME: Final = "admin@innkeeper.example"
KEY_NAME: Final = "Demo"
EVERYTHING: Final = ("*:*",)
TENANTS: Final = (
    ("basic", "demo-basic", "Basil's Bakery"),
    ("professional", "demo-professional", "Prospero Logistics"),
    ("enterprise", "demo-enterprise", "Enterprise Airways"),
)
METER: Final = meters.Definition(
    slug="tokens_total",
    name="Tokens",
    description="Demo: the tokens of prompts, by model.",
    aggregation=Aggregation.SUM,
    event_type="prompt",
    value_property="$.tokens",
    group_by={"model": "$.model"},
)
_LOST: Final = frozenset({"NOT_FOUND", "DISABLED", "EXPIRED", "WRONG_KIND"})


class DemoTenant(TypedDict):
    """One tenant of the demo."""

    id: str
    slug: str
    plan: str
    key: str


class Demo(TypedDict):
    """What is kept: see :mod:`config.launcher`, which adds the addresses of a run."""

    platform_key: str
    tenants: list[DemoTenant]
    admin: dict[str, str]


def seed(path: Path) -> Demo:
    """Make the demo, or what of it is missing, and keep its keys in ``path``."""
    kept = keeping.load(path)
    demo = Demo(
        platform_key=_platform_key(str(kept.get("platform_key", ""))),
        tenants=[_tenant(plan, slug, name, kept) for plan, slug, name in TENANTS],
        admin=_admin(kept),
    )
    _meter()
    whole = {**kept, **demo}
    if whole != kept:
        keeping.store(path, whole)
    return demo


def _platform_key(kept: str) -> str:
    if _holds(kept):
        return kept
    for key in queries.platform_keys.listed().filter(name=KEY_NAME, revoked_at=None):
        platform_keys.revoke(key.id, reason="demo seeded anew")
    return platform_keys.create(NewKey(name=KEY_NAME, permissions=EVERYTHING)).text


def _tenant(plan: str, slug: str, name: str, kept: dict[str, Any]) -> DemoTenant:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        owner = f"owner@{slug}.example"
        tenant = create(NewTenant(name=name, slug=slug, plan=plan, owner_email=owner))
    before = {item["slug"]: item["key"] for item in kept.get("tenants", [])}
    key = _tenant_key(tenant, str(before.get(slug, "")), lifted=plan == "enterprise")
    return DemoTenant(id=tenant.public_id, slug=slug, plan=plan, key=key)


def _tenant_key(tenant: Tenant, kept: str, *, lifted: bool) -> str:
    """Keep the key or issue another; ``lifted``: without a burst limit."""
    if _holds(kept):
        return kept
    with tenant_context(tenant.id):
        for key in queries.keys.listed(status="active").filter(name=KEY_NAME):
            keys.revoke(key.id, reason="demo seeded anew")
        new = NewKey(
            name=KEY_NAME, permissions=EVERYTHING, burst=Override(None) if lifted else None
        )
        return keys.create(new).text


def _holds(key: str) -> bool:
    """Tell whether the gate still knows the key. A suspended tenant's key is no lost key."""
    return bool(key) and admit(None, key, ip=None, permission=None, cost=0).code not in _LOST


def _admin(kept: dict[str, Any]) -> dict[str, str]:
    before: dict[str, str] = kept.get("admin", {})
    user = User.objects.filter(email=before.get("username", USERNAME)).first()
    password = before.get("password", "")
    if user is not None and user.is_active and check_password(password, user.password):
        return before
    password = secrets.token_urlsafe(18)
    staff.create_superuser(USERNAME, password)
    return {**before, "username": USERNAME, "password": password}


def _meter() -> None:
    rows = Meter.objects.filter(scope=OPERATOR, slug=METER.slug, deleted_at=None)
    if not rows.exists():
        meters.create(METER, scope=OPERATOR)
