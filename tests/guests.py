"""Tenants with keys, made through the services, and calls to the API in process.

Everything commits for real: each test makes a tenant of its own and tolerates the rows of others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from django.test import Client

from accounts.services import keys, platform_keys
from accounts.services.issuing import NewKey
from kernel import db, ids
from kernel.authz import ANONYMOUS, SYSTEM, set_principal
from kernel.gate.projection import Override
from kernel.tenancy import across_tenants, tenant_context
from tenants.models import Tenant
from tenants.services import NewTenant, create

JSON = ("application/json", "application/problem+json")
EVERYTHING = ("*:*",)
UNLIMITED = {"daily": Override(None), "burst": Override(None)}


@dataclass(frozen=True)
class Guest:
    """A tenant with a key that may do everything in it and has no limits."""

    id: UUID
    slug: str
    key: str
    key_id: UUID

    @property
    def public_id(self) -> str:
        return ids.encode("ten", self.id)


@contextmanager
def system() -> Iterator[None]:
    """Act as the system itself, across tenants."""
    set_principal(SYSTEM)
    try:
        with db.use_alias("staff"), across_tenants():
            yield
    finally:
        set_principal(ANONYMOUS)


@contextmanager
def inside(tenant_id: UUID) -> Iterator[None]:
    """Act as the system for one tenant, as the app role."""
    set_principal(SYSTEM)
    try:
        with tenant_context(tenant_id):
            yield
    finally:
        set_principal(ANONYMOUS)


def fresh(prefix: str = "t") -> str:
    return f"{prefix}-{ids.new_id().hex[-20:]}"


def new_tenant(plan: str = "basic", **fields: Any) -> Tenant:
    slug = fields.pop("slug", fresh())
    with system():
        return create(NewTenant(slug=slug, name=fields.pop("name", slug), plan=plan, **fields))


def new_key(tenant_id: UUID, *permissions: str, **fields: Any) -> keys.IssuedKey:
    """Issue a key as the system; without limits unless some are given."""
    facts = {"name": "test", "permissions": permissions or EVERYTHING, **UNLIMITED, **fields}
    with inside(tenant_id):
        return keys.create(NewKey(**facts))


def new_guest(plan: str = "basic", **fields: Any) -> Guest:
    tenant = new_tenant(plan, **fields)
    issued = new_key(tenant.id)
    return Guest(tenant.id, tenant.slug, issued.text, issued.key.id)


def operator_key(*permissions: str, **fields: Any) -> str:
    """Issue a platform key; with every permission unless some are named."""
    facts = {"name": "test operator", "permissions": permissions or EVERYTHING, **fields}
    with system():
        return platform_keys.create(NewKey(**facts)).text


@cache
def client() -> Client:
    """Give the one client of the process: it loads the middleware once. The API sets no cookies."""
    return Client(raise_request_exception=True)


@dataclass(frozen=True)
class Answer:
    """A response, decoded."""

    status: int
    body: Any
    headers: Any = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


def call(
    method: str, path: str, key: str | None = None, body: Any = None, **headers: str
) -> Answer:
    """Send one request, below ``/api/v1`` unless the path starts with a slash."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    response: HttpResponse = client().generic(
        method,
        path if path.startswith("/") else f"/api/v1/{path}",
        data=b"" if body is None else orjson.dumps(body),
        content_type="application/json",
        headers=sent,
    )
    content = b"".join(response) if response.streaming else response.content
    told = response.headers.get("Content-Type", "")
    decoded = orjson.loads(content) if content and told in JSON else None
    return Answer(response.status_code, decoded, response.headers, content)
