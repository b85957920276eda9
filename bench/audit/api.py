"""The API in process, as an operator's service that may act for every tenant."""

from uuid import UUID

from django.core.handlers.wsgi import WSGIHandler

from bench.latency.calls import Answer, Call, send
from kernel import db, ids
from kernel.gate import keys, projection
from kernel.tenancy import across_tenants


class Api:
    """Calls routes through the whole WSGI application: authentication, gate, permission, fence."""

    def __init__(self) -> None:
        self._application = WSGIHandler()
        minted, key_id = keys.mint(keys.PLATFORM), ids.new_id()
        with db.use_alias("staff"), across_tenants(), db.atomic():
            projection.put_credential(
                minted, key_id=key_id, lineage=key_id, tenant_id=None, permissions=["*:*"]
            )
        self._key = minted.text

    @staticmethod
    def admit(tenants: list[UUID]) -> None:
        """Let the gate know the tenants, without limits."""
        with db.use_alias("staff"), across_tenants(), db.atomic():
            for tenant in tenants:
                projection.put_tenant(tenant, "active")
                projection.put_limits(tenant, daily=None, burst=None, features=[])

    def get(self, tenant: UUID, path: str, query: str = "") -> Answer:
        """Ask a route below ``/api/v1/audit`` for a tenant.

        Raises:
            RuntimeError: the answer is not 200.
        """
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Innkeeper-Tenant": ids.encode("ten", tenant),
        }
        answer = send(self._application, Call("GET", f"/api/v1/audit{path}", headers, b"", query))
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.body[:300]!r}")
        return answer
