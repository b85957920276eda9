"""Giving a tenant its own value of a feature, for a time; pausing it, ending it.

The operator's people do this, as staff across tenants. Each change is projected to the gate in its
own transaction, with everything that will follow from it later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone

from audit.services import audited, record
from billing.actions import OVERRIDE_GRANTED, OVERRIDE_PAUSED, OVERRIDE_REVOKED
from billing.catalog.models import Feature, Kind
from billing.catalog.models.values import read, write
from billing.entitlements.errors import OverrideOverlapError
from billing.entitlements.models import Mode, Override
from billing.entitlements.models.effective import addable
from billing.entitlements.models.overrides import OVERRIDE_PREFIX
from billing.entitlements.services.projection import project
from billing.subscriptions.services.serial import serialise
from kernel.authz import current_principal
from kernel.errors import Conflict, FieldError, Invalid
from kernel.ids import encode

_OVERLAP: Final = "billing_override_overlap"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOverride:
    """An override to be: ``value`` in the stored form of the feature's kind, times aware.

    ``starts_at`` None is now, ``expires_at`` None is never.
    """

    tenant_id: UUID
    feature: Feature
    value: Any
    reason: str
    mode: Mode = Mode.SET
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    ticket: str = ""

    def validate(self) -> Any:
        """Check all rules; give the value in its one stored form.

        Raises:
            kernel.errors.Invalid: a fault of form.
        """
        kind = Kind(self.feature.kind)
        stored = write(read(kind, self.value, self.feature.options))
        faults = []
        if not self.reason.strip():
            faults.append(FieldError("/reason", "required", "Say why the tenant gets this."))
        if self.mode is Mode.ADD and not addable(kind):
            message = f"A {kind} value cannot be added to the plan's."
            faults.append(FieldError("/mode", "invalid", message))
        start = self.starts_at or timezone.now()
        if self.expires_at is not None and self.expires_at <= start:
            faults.append(FieldError("/expires_at", "invalid", "It ends before it starts."))
        if self.feature.archived_at is not None:
            faults.append(FieldError("/feature", "archived", "The feature is archived."))
        if faults:
            raise Invalid(faults[0].message, code="invalid_override", errors=faults)
        return stored


def overlaps(new: NewOverride) -> bool:
    """Tell whether another override of the tenant and feature holds in a part of the same time."""
    others = Override.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=new.starts_at or timezone.now()),
        tenant_id=new.tenant_id,
        feature=new.feature,
        revoked_at=None,
    )
    if new.expires_at is not None:
        others = others.filter(starts_at__lt=new.expires_at)
    return others.exists()


def grant(new: NewOverride) -> Override:
    """Give a tenant its own value of a feature.

    Raises:
        kernel.errors.Invalid: a fault of form.
        OverrideOverlapError: another override holds during a part of the same time.
    """
    stored = new.validate()
    override = Override(
        tenant_id=new.tenant_id,
        feature=new.feature,
        mode=new.mode,
        value=stored,
        starts_at=new.starts_at or timezone.now(),
        expires_at=new.expires_at,
        reason=new.reason.strip(),
        ticket=new.ticket,
        created_by=str(current_principal().id or current_principal().kind),
    )
    with _change(new.tenant_id):
        try:
            override.save(force_insert=True)
        except IntegrityError as error:
            if _OVERLAP not in str(error):
                raise
            raise OverrideOverlapError(
                f"The tenant has an override of {new.feature.key} in this time.",
                pointer="/starts_at",
            ) from error
        _record(OVERRIDE_GRANTED.name, override, after=_facts(override), reason=override.reason)
        project(new.tenant_id)
    return override


def pause(override: Override, *, paused: bool) -> Override:
    """Switch an override off for a while, or on again; its times go on.

    Raises:
        kernel.errors.Conflict: it is revoked.
    """
    with _change(override.tenant_id):
        locked = _locked(override)
        before, locked.paused = locked.paused, paused
        locked.save(update_fields=["paused"])
        _record(OVERRIDE_PAUSED.name, locked, {"paused": before}, {"paused": paused})
        project(locked.tenant_id)
    return locked


def revoke(override: Override) -> Override:
    """End an override for good, now.

    Raises:
        kernel.errors.Conflict: it is revoked already.
    """
    with _change(override.tenant_id):
        locked = _locked(override)
        locked.revoked_at = timezone.now()
        locked.save(update_fields=["revoked_at"])
        _record(OVERRIDE_REVOKED.name, locked, _facts(locked))
        project(locked.tenant_id)
    return locked


@contextmanager
def _change(tenant_id: UUID) -> Iterator[None]:
    """Let one change of a tenant's entitlements go at a time, in one audited transaction."""
    with audited():
        serialise(tenant_id)
        yield


def _locked(override: Override) -> Override:
    locked = (
        Override.objects.select_for_update(of=("self",))
        .select_related("feature")
        .get(id=override.id)
    )
    if locked.revoked_at is not None:
        raise Conflict("The override is revoked.", code="override_revoked")
    return locked


def _facts(override: Override) -> dict[str, Any]:
    return {
        "feature": override.feature.key,
        "mode": override.mode,
        "value": override.value,
        "starts_at": override.starts_at,
        "expires_at": override.expires_at,
        "ticket": override.ticket,
    }


def _record(
    action: str,
    override: Override,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    *,
    reason: str = "",
) -> None:
    record(
        action=action,
        target_type="override",
        target_id=encode(OVERRIDE_PREFIX, override.id),
        before=before,
        after=after,
        tenant_id=override.tenant_id,
        reason=reason,
    )
