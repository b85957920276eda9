"""Describing subjects, and forgetting the description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from audit.services import audited, record
from billing.actions import SUBJECT_DELETED, SUBJECT_WRITTEN
from billing.subscriptions.models import Subject
from billing.subscriptions.models.subjects import SUBJECT_PREFIX
from billing.usage.metadata import text_fault
from billing.usage.models import OPERATOR
from kernel import db
from kernel.errors import Conflict, FieldError, Invalid
from kernel.ids import encode

MOST_AT_ONCE: Final = 1_000
LONGEST_KEY: Final = 256
"""As long as the subject of a usage event may be."""
LARGEST_METADATA: Final = 16_384
"""Bytes of JSON."""
_SHOWN: Final = ("key", "display_name", "stripe_customer_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is said of a subject: ``changes`` holds the fields that were given, by model name."""

    key: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def upsert(descriptions: Sequence[Description], *, scope: UUID) -> list[Subject]:
    """Create or change subjects of one scope, all or none; fields that are absent stay.

    Naming a tenant as the operator attributes the subject's events to it; see :func:`attribute`.

    Raises:
        kernel.errors.Invalid: no or too many subjects, a key is empty or comes twice, or a text is
            too long.
        kernel.errors.Conflict: a subject of the operator's events belongs to another tenant.
    """
    _check(descriptions)
    with audited():
        existing = {
            row.key: row
            for row in Subject.objects.select_for_update()
            .filter(scope=scope, key__in=[one.key for one in descriptions])
            .order_by("key")
        }
        written = [_write(one, existing.get(one.key), scope) for one in descriptions]
        if scope != OPERATOR and db.alias() == "staff":
            attribute([one.key for one in descriptions], scope)
    return written


def delete(subject: Subject) -> None:
    """Forget what was said of a subject. Its usage stays, and stays attributed."""
    with audited():
        record(
            action=SUBJECT_DELETED.name,
            target_type="subject",
            target_id=encode(SUBJECT_PREFIX, subject.id),
            tenant_id=_log_of(subject.scope),
            before={"key": subject.key},
        )
        subject.delete()


def _check(descriptions: Sequence[Description]) -> None:
    if not 0 < len(descriptions) <= MOST_AT_ONCE:
        raise Invalid(f"Send an array of 1 to {MOST_AT_ONCE} subjects.")
    faults: list[FieldError] = []
    seen: set[str] = set()
    for place, one in enumerate(descriptions):
        pointer = f"/{place}/key"
        if not 0 < len(one.key) <= LONGEST_KEY or "\0" in one.key:
            message = f"A key has 1 to {LONGEST_KEY} characters."
            faults.append(FieldError(pointer, "invalid_key", message))
        if one.key in seen:
            faults.append(FieldError(pointer, "duplicate", "The key comes twice."))
        seen.add(one.key)
        faults += _told_faults(one.changes, f"/{place}")
        start = one.changes.get("current_period_start")
        end = one.changes.get("current_period_end")
        if isinstance(start, datetime) and isinstance(end, datetime) and start >= end:
            pointer = f"/{place}/currentPeriodEnd"
            faults.append(FieldError(pointer, "invalid", "The period ends after it starts."))
    if faults:
        raise Invalid(faults[0].message, code="invalid_subject", errors=faults)


def _told_faults(changes: Mapping[str, Any], at: str) -> list[FieldError]:
    faults = [
        *text_fault(changes.get("display_name") or "", f"{at}/displayName"),
        *text_fault(changes.get("stripe_customer_id") or "", f"{at}/stripeCustomerId"),
    ]
    if len(orjson.dumps(changes.get("metadata"))) > LARGEST_METADATA:
        message = f"The metadata are larger than {LARGEST_METADATA} bytes."
        faults.append(FieldError(f"{at}/metadata", "too_large", message))
    return faults


def _write(one: Description, existing: Subject | None, scope: UUID) -> Subject:
    subject = existing or Subject(scope=scope, key=one.key)
    before = {name: getattr(subject, name) for name in _SHOWN} if existing else None
    for name, value in one.changes.items():
        setattr(subject, name, value)
    subject.save(force_insert=existing is None)
    record(
        action=SUBJECT_WRITTEN.name,
        target_type="subject",
        target_id=encode(SUBJECT_PREFIX, subject.id),
        tenant_id=_log_of(scope),
        before=before,
        after={name: getattr(subject, name) for name in _SHOWN},
    )
    return subject


def attribute(keys: Sequence[str], tenant_id: UUID) -> None:
    """Say whose the operator's events about these subjects are, from now on.

    Raises:
        kernel.errors.Conflict: one belongs to another tenant: it has one at a time.
    """
    db.rows(
        "INSERT INTO billing_usage_attribution (subject, tenant_id)"
        " SELECT key, $1::uuid FROM unnest($2::text[]) AS key ORDER BY key ON CONFLICT DO NOTHING",
        [tenant_id, list(keys)],
    )
    taken = db.rows(
        "SELECT subject FROM billing_usage_attribution"
        " WHERE subject = ANY ($2::text[]) AND tenant_id <> $1::uuid ORDER BY subject LIMIT 1",
        [tenant_id, list(keys)],
    )
    if taken:
        raise Conflict(
            f"The subject {taken[0][0]!r} belongs to another customer.", code="subject_taken"
        )


def _log_of(scope: UUID) -> UUID | None:
    """Name the tenant in whose audit log a scope's changes are; None: the instance's own."""
    return None if scope == OPERATOR else scope
