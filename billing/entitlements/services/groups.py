"""Consuming features that count some groups of a meter: exact, like any other (docs/adr/0138).

Such a feature has no counter of its own (docs/adr/0099). What it has used is counted from the
meter under the meter's lock: every guarded use before has committed by then, and none after has
begun. The event that is written carries the groups, and so counts for the features that it should.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from billing.catalog.models.values import Allowance
from billing.catalog.queries import FeatureFact
from billing.entitlements.errors import QuotaUsedUpError
from billing.entitlements.models.effective import Effective, Snapshot
from billing.entitlements.models.projection import hard_limit, period_of
from billing.entitlements.queries.snapshots import load
from billing.entitlements.queries.used import operators_meter, used_between
from billing.entitlements.services.consuming import Answer, Consumption
from billing.entitlements.services.projection import project
from billing.entitlements.services.use import CONSUMED, USE_PREFIX, Used, check_input
from billing.usage.filters import advanced
from billing.usage.models import Meter, Origin
from billing.usage.paths import parse
from billing.usage.services.recording import placed, write_use
from kernel import db, idempotency
from kernel.errors import Invalid
from kernel.gate import quota
from kernel.gate.quota import Check, Standing
from kernel.ids import encode, new_id
from kernel.tenancy import tenant_context

Groups = Mapping[str, str]
_NOTHING: Final = ""
"""What the meter keeps of a group that an event does not name."""


def concerned(snapshot: Snapshot, feature: FeatureFact, at: datetime) -> bool:
    """Tell whether a use of the feature may meet a limit of some groups of its meter."""
    return next(_filtered(snapshot, feature, at), None) is not None


def consume(call: Consumption, groups: Groups) -> Answer:
    """Use a quantity in the named groups of the feature's meter, or nothing at all.

    A group that the feature's filter fixes needs no naming. Committed when this returns.

    Raises:
        QuotaUsedUpError: it does not fit the feature, or another one that counts these groups.
        kernel.errors.Invalid: the meter has no such group, or the use would not count for the
            feature: the pointer says which group is missing or wrong.
        kernel.errors.Conflict: a call with the idempotency key is still running.
        kernel.errors.Unprocessable: the key was used with another request.
    """

    def used() -> bytes:
        used = _use(call.tenant_id, call.feature, call.quantity, groups, call.subject)
        return call.write(used)

    role = db.use_alias("staff") if call.by_operator else nullcontext()
    with role, tenant_context(call.tenant_id), db.atomic():
        content, replayed = idempotency.once(call.attempt, used)
    return Answer(content, replayed)


def _use(
    tenant_id: UUID, feature: FeatureFact, quantity: Decimal, groups: Groups, subject: str
) -> Used:
    check_input(feature, quantity)
    meter = operators_meter(feature.meter)
    if meter is None or meter.origin != Origin.EVENTS:
        raise Invalid(f"No event feeds the meter {feature.meter}.", code="not_consumable")
    with db.atomic():
        named = _named(feature, meter, groups)
        checked = _checked(tenant_id, feature, quantity)
        snapshot = load(tenant_id)
        standing = _tightest(snapshot, feature, meter, named, quantity=quantity, checked=checked)
        data: dict[str, Any] = {}
        for key, text in named.items():
            if text != _NOTHING:
                data = placed(data, parse(meter.group_by[key], _pointer(key)), text)
        event_id = encode(USE_PREFIX, new_id())
        write_use(
            tenant_id=tenant_id,
            meter=feature.meter,
            quantity=quantity,
            event_id=event_id,
            data=data,
            source=CONSUMED,
            subject=subject,
            at=checked.at,
        )
        after = None if standing is None else replace(standing, used=standing.used + quantity)
        return Used(event_id, quantity, after, None)


def _named(feature: FeatureFact, meter: Meter, groups: Groups) -> dict[str, str]:
    """Complete the groups by what the filter fixes, and see that the use counts for the feature."""
    for key in groups:
        if key not in meter.group_by:
            raise Invalid(
                f"The meter {meter.slug} has no group {key!r}.",
                code="unknown_meter_group", pointer=_pointer(key),
            )  # fmt: skip
    named = {key: groups.get(key, _NOTHING) for key in meter.group_keys}
    for key, condition in feature.group_filters.items():
        if key not in groups:
            named[key] = _fixed(condition) or _NOTHING
        if _count(key, condition, named):
            continue
        if named[key] == _NOTHING:
            raise Invalid(
                f"{feature.key} counts several values of {key}: name one of them in groups.",
                code="group_required",
                pointer=_pointer(key),
            )
        raise Invalid(
            f"{feature.key} does not count {named[key]!r} of {key}.",
            code="group_not_counted",
            pointer=_pointer(key),
        )
    return named


def _pointer(key: str) -> str:
    return f"/groups/{key.replace('~', '~0').replace('/', '~1')}"


def _fixed(condition: Mapping[str, Any]) -> str | None:
    """Give the one value that a filter of a group lets through, if it says so plainly."""
    match condition:
        case {"$eq": str(text)} if len(condition) == 1:
            return text
        case {"$in": [str(text)]} if len(condition) == 1:
            return text
    return None


def _count(key: str, condition: object, named: Groups) -> bool:
    """Tell whether a filter lets a group through, by the rules of PostgreSQL that counts."""
    values: dict[str, Any] = {"text": named[key]}
    written = advanced({key: condition})[key].sql("(%(text)s::text)", values)
    with db.cursor() as cursor:
        cursor.execute(f"SELECT {written}", values)
        return bool(cursor.fetchone()[0])


def _checked(tenant_id: UUID, feature: FeatureFact, quantity: Decimal) -> Check:
    """Lock the meter, and check what counts all of it; open the periods if nobody has."""
    checked = quota.check(tenant_id, feature.meter, quantity, feature=feature.key)
    if checked.standing is None:
        project(tenant_id)
        checked = quota.check(tenant_id, feature.meter, quantity, feature=feature.key)
    if checked.exceeded and checked.standing is not None:
        tight = checked.standing.feature
        returns = quota.access_returns(tenant_id, tight, checked.at)
        raise QuotaUsedUpError(checked.standing, returns)
    return checked


def _tightest(
    snapshot: Snapshot,
    feature: FeatureFact,
    meter: Meter,
    named: Groups,
    *,
    quantity: Decimal,
    checked: Check,
) -> Standing | None:
    """Check the limits of all features that count these groups; give what leaves least.

    Raises:
        QuotaUsedUpError: one of them does not cover the use.
    """
    whole = checked.standing
    found = [whole] if whole is not None and whole.hard_limit is not None else []
    for one in _filtered(snapshot, feature, checked.at):
        filters = one.feature.group_filters
        if not all(_count(key, condition, named) for key, condition in filters.items()):
            continue
        standing = _standing(snapshot, one, meter, checked.at)
        if standing.hard_limit is not None and standing.used + quantity > standing.hard_limit:
            raise QuotaUsedUpError(standing, standing.end if standing.hard_limit else None)
        found.append(standing)
    return min(found, key=_remaining, default=None)


def _remaining(standing: Standing) -> Decimal:
    return Decimal("Infinity") if standing.remaining is None else standing.remaining


def _filtered(snapshot: Snapshot, feature: FeatureFact, at: datetime) -> Iterator[Effective]:
    """Go through the features of the same meter that count some groups and guard this use."""
    for other in snapshot.features.values():
        if other.meter != feature.meter or not other.group_filters:
            continue
        effective = snapshot.effective(other.key, at)
        if effective is not None and (effective.granted or other.key == feature.key):
            yield effective


def _standing(snapshot: Snapshot, effective: Effective, meter: Meter, at: datetime) -> Standing:
    feature = effective.feature
    period = period_of(snapshot, effective, at)
    used = used_between(snapshot.tenant_id, meter, period.start, period.end, feature.group_filters)
    soft = isinstance(effective.value, Allowance) and effective.value.soft
    limit = None if soft else hard_limit(effective)
    return Standing(feature.key, period.start, period.end, used, Decimal(0), limit)
