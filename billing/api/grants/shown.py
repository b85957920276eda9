"""Entitlements, grants and history as OpenMeter writes them, with exact decimals beside."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from billing.api.balances import balances
from billing.catalog.models.features import FEATURE_PREFIX
from billing.catalog.models.recurrence import Cadence, Recurrence
from billing.entitlements.models import EntitlementType, ExpiryUnit, Grant
from billing.entitlements.models.entitlements import ENTITLEMENT_PREFIX
from billing.entitlements.models.grants import GRANT_PREFIX
from billing.entitlements.queries.burndown import Stretch, UsageWindow
from billing.entitlements.queries.listing import Listed
from billing.entitlements.queries.streams import fact_of
from billing.usage.api.figures import number
from billing.usage.queries.customers import public_id
from kernel.ids import encode

_FOR_EVER: Final = {"duration": ExpiryUnit.YEAR.value, "count": 100}
"""How OpenMeter's first version, which knows no grants without an end, writes one."""


def entitlement(listed: Listed, now: datetime, subject: str | None = None) -> dict[str, Any]:
    """Write an entitlement: of a subject in version 1, else of a customer in version 2."""
    body: dict[str, Any] = {
        "id": encode(ENTITLEMENT_PREFIX, listed.id),
        "type": listed.type.value,
        "featureKey": listed.feature_key,
        "featureId": encode(FEATURE_PREFIX, listed.feature_id),
        "metadata": listed.metadata,
        "createdAt": listed.created_at,
        "updatedAt": listed.updated_at,
        "activeFrom": listed.active_from,
        "source": "entitlement" if listed.own else "plan",
    }
    if subject is None:
        body |= {"customerId": public_id(listed.tenant_id), "customerKey": listed.customer_key}
    else:
        body["subjectKey"] = subject
    if listed.deleted_at is not None:
        body |= {"deletedAt": listed.deleted_at, "activeTo": listed.deleted_at}
    if listed.type == EntitlementType.STATIC:
        body["config"] = orjson.dumps(listed.config).decode()
    if listed.stream is not None:
        body |= _metered(listed, listed.deleted_at or now)
    return body


def _metered(listed: Listed, at: datetime) -> dict[str, Any]:
    stream = listed.stream
    if stream is None:
        return {}
    period = stream.period(max(at, stream.begins or at))
    body: dict[str, Any] = {
        "isSoftLimit": listed.soft,
        "isUnlimited": False,
        "preserveOverageAtReset": stream.preserve_overage,
        "usagePeriod": recurring(stream.recurrence),
        "currentUsagePeriod": {"from": period.start, "to": period.end},
        "lastReset": period.start,
        "measureUsageFrom": stream.begins or listed.active_from,
    }
    if stream.issues and listed.issue is None:
        body["isUnlimited"] = True
    elif listed.issue is not None:
        amount = number(listed.issue)
        body |= {
            "issueAfterReset": amount,
            "issueAfterResetPriority": listed.priority,
            "issue": {"amount": amount, "priority": listed.priority},
        }
    return body


def recurring(recurrence: Recurrence) -> dict[str, Any]:
    """Write a recurrence."""
    return {
        "interval": recurrence.cadence.word,
        "intervalISO": recurrence.cadence.iso,
        "anchor": recurrence.anchor,
    }


def grant(row: Grant, recurs: Recurrence | None, now: datetime, *, v1: bool) -> dict[str, Any]:
    """Write a grant. Version 1 shows an expiration of a hundred years where there is none."""
    body: dict[str, Any] = {
        "id": encode(GRANT_PREFIX, row.id),
        "entitlementId": encode(ENTITLEMENT_PREFIX, row.stream),
        "amount": number(row.amount),
        "amountDecimal": f"{row.amount.normalize():f}",
        "priority": row.priority,
        "effectiveAt": row.effective_at,
        "minRolloverAmount": number(row.min_rollover),
        "maxRolloverAmount": number(row.max_rollover),
        "metadata": row.metadata,
        "annotations": row.annotations,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }
    if row.expires_at is not None:
        body["expiration"] = {"duration": row.expiry_unit, "count": row.expiry_count}
        body["expiresAt"] = row.expires_at
    elif v1:
        body["expiration"] = _FOR_EVER
    ends = {"voidedAt": row.voided_at, "deletedAt": row.deleted_at}
    body |= {name: at for name, at in ends.items() if at is not None}
    if recurs is not None:
        body["recurrence"] = recurring(recurs)
        fact = fact_of(row, recurs.zone)
        coming = recurs.period(max(now, row.effective_at)).end
        if coming < fact.end:
            body["nextRecurrence"] = coming
    return body


def recurrence_of(row: Grant, zone: ZoneInfo) -> Recurrence | None:
    """Give when a grant recurs, in the zone of its periods; None where it does not."""
    if not row.interval:
        return None
    return Recurrence(Cadence.parse(row.interval), row.anchor or row.effective_at, zone)


def issued_grant(listed: Listed, *, v1: bool) -> dict[str, Any] | None:
    """Write what each usage period issues by itself as the grant that it is; None without."""
    stream, amount = listed.stream, listed.issue
    if stream is None or amount is None:
        return None
    shown = number(amount)
    body = {
        "id": encode(GRANT_PREFIX, listed.id),
        "entitlementId": encode(ENTITLEMENT_PREFIX, listed.id),
        "amount": shown,
        "amountDecimal": f"{amount.normalize():f}",
        "priority": listed.priority,
        "effectiveAt": stream.begins or listed.active_from,
        "minRolloverAmount": shown,
        "maxRolloverAmount": shown,
        "metadata": {},
        "annotations": {"issueAfterReset": True},
        "createdAt": listed.created_at,
        "updatedAt": listed.updated_at,
        "recurrence": recurring(stream.recurrence),
    }
    return body | ({"expiration": _FOR_EVER} if v1 else {})


def history(
    parts: Sequence[Stretch], used: Sequence[UsageWindow]
) -> dict[str, Sequence[dict[str, Any]]]:
    """Write the history of a metered entitlement: by window, and by segment of its burn-down."""
    return {
        "windowedHistory": [
            {
                "period": {"from": one.start, "to": one.end},
                "usage": number(one.used),
                "balanceAtStart": number(one.balance),
            }
            for one in used
        ],
        "burndownHistory": [_stretch(part) for part in parts],
    }


def _stretch(part: Stretch) -> dict[str, Any]:
    return {
        "period": {"from": part.start, "to": part.end},
        "usage": number(part.used),
        "overage": number(part.overage),
        "balanceAtStart": number(sum(part.opening.values(), Decimal(0))),
        "grantBalancesAtStart": balances(part.opening),
        "balanceAtEnd": number(sum(part.closing.values(), Decimal(0))),
        "grantBalancesAtEnd": balances(part.closing),
        "grantUsages": [
            {"grantId": encode(GRANT_PREFIX, id_), "usage": number(amount)}
            for id_, amount in part.spent.items()
        ],
    }
