"""Tenants with plans, keys, and a server on loopback, as tests of billing need them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client

from audit.services import audited, record
from billing.actions import PLAN_VERSION_PUBLISHED
from billing.usage.queries.customers import public_id
from kernel import db
from kernel.gate import projection
from kernel.gate.keys import PLATFORM, TENANT, mint
from kernel.ids import new_id
from kernel.tenancy import across_tenants
from tenants.services import NewTenant, create


@dataclass(frozen=True)
class House:
    """A tenant on a plan, with its public id, slug and a key that may do everything."""

    id: UUID
    public_id: str
    slug: str
    key: str


@contextmanager
def staff() -> Iterator[None]:
    """Act as the operator's people, across tenants."""
    with db.use_alias("staff"), across_tenants():
        yield


@contextmanager
def change_of(noun: str) -> Iterator[None]:
    """Change the catalogue by hand, with the entry in the instance's log that its guard wants."""
    with audited():
        record(action=PLAN_VERSION_PUBLISHED.name, target_type=noun, target_id="test")
        yield


def make_house(plan: str = "basic", timezone: str = "UTC") -> House:
    slug = f"t-{new_id().hex[-20:]}"
    with staff():
        tenant = create(NewTenant(slug=slug, name=slug.upper(), plan=plan, timezone=timezone))
    return House(tenant.id, public_id(tenant.id), slug, make_key(tenant.id))


def make_key(tenant_id: UUID | None = None, permissions: tuple[str, ...] = ("*:*",)) -> str:
    """Make a tenant key, or a platform key without a tenant."""
    minted = mint(TENANT if tenant_id else PLATFORM)
    key_id = new_id()
    with staff(), db.atomic():
        projection.put_credential(
            minted,
            key_id=key_id,
            lineage=key_id,
            tenant_id=tenant_id,
            permissions=list(permissions),
            daily=projection.Override(None),
            burst=projection.Override(None),
        )
    return minted.text


def call(
    key: str, method: str, path: str, body: Any = None, status: int = 200, **headers: str
) -> Any:
    """Send one request to the API in process; assert the status; give the decoded body."""
    response = Client(raise_request_exception=True).generic(
        method,
        f"/api/{path}",
        data=b"" if body is None else orjson.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}", **headers},
    )
    assert response.status_code == status, (response.status_code, response.content)
    return response.json() if response.content else None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve the application on loopback; give its base address."""
    server = make_server("127.0.0.1", 0, WSGIHandler(), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
