"""From a request to a checked question about a meter."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from django.http import QueryDict

from billing.usage import filters
from billing.usage.api import parameters
from billing.usage.filters import Condition
from billing.usage.models import Aggregation, Meter, Origin
from billing.usage.queries import customers
from billing.usage.queries.question import CUSTOMER, SUBJECT, Question, WindowSize
from billing.usage.queries.zones import is_zone
from kernel.errors import FieldError, Invalid
from kernel.tenancy import tenant_or_none

_FILTERS: Final = "filterGroupBy"
_ADVANCED: Final = "advancedMeterGroupByFilters"
LONGEST_OF_LEVELS: Final = {"MINUTE": timedelta(days=31), "HOUR": timedelta(days=1_100)}
"""What a query of levels may span, by the size of its windows."""


class Asked(msgspec.Struct, rename="camel", kw_only=True):
    """A query as the POST body spells it; the GET form is read into the same struct."""

    client_id: str | None = None
    start: datetime | None = msgspec.field(default=None, name="from")
    end: datetime | None = msgspec.field(default=None, name="to")
    window_size: str | None = None
    window_time_zone: str | None = None
    subject: list[str] | None = None
    filter_customer_id: list[str] | None = None
    filter_group_by: dict[str, Any] | None = None
    advanced_meter_group_by_filters: dict[str, Any] | None = None
    group_by: list[str] | None = None


def of_query(meter: Meter, query: QueryDict) -> Question:
    """Read the GET form.

    Raises:
        kernel.errors.Invalid: a parameter is malformed or contradicts another.
        kernel.errors.NotFound: an unknown customer.
    """
    text = query.get(_FILTERS)
    simple = filters.read_simple(text) if text else parameters.deep(query, _FILTERS)
    text = query.get(_ADVANCED)
    advanced = filters.read_advanced(text) if text else {}
    asked = Asked(
        start=parameters.time(query, "from"),
        end=parameters.time(query, "to"),
        window_size=query.get("windowSize") or None,
        window_time_zone=query.get("windowTimeZone") or None,
        subject=query.getlist("subject"),
        filter_customer_id=query.getlist("filterCustomerId"),
        group_by=query.getlist("groupBy"),
    )
    return _question(meter, asked, simple, advanced)


def of_body(meter: Meter, data: object) -> Question:
    """Read the POST form.

    Raises:
        kernel.errors.Invalid: a member is malformed or contradicts another.
        kernel.errors.NotFound: an unknown customer.
    """
    asked = parameters.body(Asked, data)
    asked.start = None if asked.start is None else parameters.aware(asked.start)
    asked.end = None if asked.end is None else parameters.aware(asked.end)
    simple = filters.check_simple(asked.filter_group_by or {})
    advanced = filters.advanced(asked.advanced_meter_group_by_filters or {})
    return _question(meter, asked, simple, advanced)


def of_range(meter: Meter, query: Mapping[str, Any], now: datetime) -> Question:
    """Read ``from`` and ``to`` alone; without them the last 24 hours."""
    end = parameters.time(query, "to")
    start = parameters.time(query, "from") or (end or now) - timedelta(hours=24)
    return _question(meter, Asked(start=start, end=end), {}, {})


def _question(
    meter: Meter, asked: Asked, simple: dict[str, list[str]], advanced: dict[str, Condition]
) -> Question:
    faults = [*_range_faults(meter, asked), *_group_faults(meter, asked, {**simple, **advanced})]
    if simple and advanced:
        message = f"Use either {_FILTERS} or {_ADVANCED}."
        faults.append(FieldError(f"/{_FILTERS}", "conflicting_filters", message))
    if faults:
        raise Invalid(faults[0].message, code="invalid_query", errors=faults)
    groups = list(dict.fromkeys(asked.group_by or []))
    if asked.subject and SUBJECT not in groups:
        groups.append(SUBJECT)
    if asked.filter_customer_id and CUSTOMER not in groups:
        groups.append(CUSTOMER)
    return Question(
        meter=meter,
        start=asked.start,
        end=asked.end,
        window=WindowSize(asked.window_size) if asked.window_size else None,
        zone=asked.window_time_zone or "UTC",
        subjects=asked.subject or (),
        tenants=[customers.find(text) for text in asked.filter_customer_id or []],
        group_by=groups,
        filters=advanced or filters.simple(simple),
    )


def _range_faults(meter: Meter, asked: Asked) -> list[FieldError]:
    faults = []
    if asked.start and asked.end and asked.start >= asked.end:
        faults.append(FieldError("/from", "invalid_range", "from must be before to."))
    if asked.window_size and asked.window_size not in list(WindowSize):
        message = f"windowSize is one of {', '.join(WindowSize)}."
        faults.append(FieldError("/windowSize", "invalid_window_size", message))
    if asked.window_time_zone and not is_zone(asked.window_time_zone):
        message = f"{asked.window_time_zone!r} is no IANA time zone."
        faults.append(FieldError("/windowTimeZone", "invalid_time_zone", message))
    if meter.aggregation == Aggregation.WEIGHTED_SUM:
        faults += _window_faults(meter, asked)
    of_gate = meter.origin == Origin.GATE
    if of_gate and asked.window_size == WindowSize.MINUTE:
        message = f"{meter.slug} is kept in buckets of 15 minutes: ask for HOUR or longer."
        faults.append(FieldError("/windowSize", "invalid_window_size", message))
    if of_gate and tenant_or_none() is None:
        message = f"{meter.slug} is read for one tenant: name it in Innkeeper-Tenant."
        faults.append(FieldError("", "tenant_required", message))
    return faults


def _window_faults(meter: Meter, asked: Asked) -> list[FieldError]:
    """Bound the windows of levels, which have a row in each: nobody reads a million."""
    longest = LONGEST_OF_LEVELS.get(asked.window_size or "")
    if longest is None:
        return []
    if asked.start is None:
        message = f"{meter.slug} is asked by {asked.window_size} with from."
        return [FieldError("/from", "required", message)]
    if (asked.end or datetime.now(UTC)) - asked.start > longest:
        message = f"{meter.slug} is asked by {asked.window_size} for {longest.days} days at most."
        return [FieldError("/from", "too_many_windows", message)]
    return []


def _group_faults(meter: Meter, asked: Asked, filtered: Mapping[str, Any]) -> list[FieldError]:
    faults = []
    for name in asked.group_by or []:
        if name not in meter.group_by and name not in {SUBJECT, CUSTOMER}:
            message = f"{meter.slug} has no group-by key {name!r}."
            faults.append(FieldError("/groupBy", "unknown_group_by", message))
    if CUSTOMER in (asked.group_by or []) and not asked.filter_customer_id:
        message = "Grouping by customer_id needs filterCustomerId."
        faults.append(FieldError("/groupBy", "customer_filter_required", message))
    for name in filtered:
        if name not in meter.group_by:
            message = f"{meter.slug} has no group-by key {name!r} to filter by."
            faults.append(FieldError(f"/{_FILTERS}/{name}", "unknown_filter", message))
    return faults
