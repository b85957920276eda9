"""Tenants and keys that the gate knows, without the apps above it."""

from dataclasses import dataclass
from uuid import UUID

from kernel import db
from kernel.gate import projection
from kernel.gate.keys import PLATFORM, TENANT, mint
from kernel.ids import new_id


@dataclass(frozen=True)
class KnownKey:
    text: str
    key_id: UUID
    tenant_id: UUID | None


def make_tenant(*, daily=None, burst=None, features=(), status="active") -> UUID:
    tenant_id = new_id()
    with db.use_alias("staff"), db.atomic():
        projection.put_tenant(tenant_id, status)
        projection.put_limits(tenant_id, daily=daily, burst=burst, features=list(features))
    return tenant_id


def make_key(tenant_id=None, *, permissions=("keys:verify", "meters:read"), **facts) -> KnownKey:
    minted = mint(TENANT if tenant_id else PLATFORM)
    key_id = new_id()
    with db.use_alias("staff"), db.atomic():
        projection.put_credential(
            minted,
            key_id=key_id,
            lineage=key_id,
            tenant_id=tenant_id,
            permissions=list(permissions),
            **facts,
        )
    return KnownKey(minted.text, key_id, tenant_id)


def set_status(key: KnownKey, status: str) -> None:
    with db.use_alias("staff"), db.atomic():
        projection.set_credential_status(key.key_id, status)


def set_tenant_status(tenant_id: UUID, status: str) -> None:
    with db.use_alias("staff"), db.atomic():
        projection.put_tenant(tenant_id, status)
