"""Entries as lists: filters, full-text search, personal values and places by the page."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from audit.models import Event, Outcome
from kernel import db, ids
from kernel.errors import Invalid
from kernel.tenancy import tenant_or_none

_EXACT: Final = ("action", "actor_id", "actor_type", "target_id", "target_type", "request_id")
_MILLISECONDS: Final = 80
_LONGEST_SEARCH: Final = 200

# The tenant is that of the connection: the function reads it as the policies do. An array is looked
# up in the list's own index, newest first, and no further than the page; with a subquery the
# planner may walk through all of the tenant's entries until the few that match.
_SEARCH_TENANT: Final = "audit_event.id = ANY (ARRAY(SELECT audit_find(%s)))"
_SEARCH_ALL: Final = (
    "SELECT event_id FROM audit_search WHERE words @@ websearch_to_tsquery('simple', %s)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed entry stands."""

    log_id: uuid.UUID
    index: int


def filtered(query: Mapping[str, str], rows: QuerySet[Event]) -> QuerySet[Event]:
    """Narrow entries by the parameters of a list route.

    ``action`` (exact, or a prefix ending in ``.*``), ``actor``, ``actor_type``, ``target``,
    ``target_type``, ``outcome``, ``request_id``, ``from`` and ``to`` (RFC 3339, when the entry was
    made, ``to`` exclusive), ``q`` (full text of what is sealed).

    Raises:
        kernel.errors.Invalid: a parameter is malformed.
    """
    terms = {**query}
    if actor := terms.pop("actor", ""):
        rows = rows.filter(actor_id__in=spellings(actor))
    if target := terms.pop("target", ""):
        rows = rows.filter(target_id__in=spellings(target))
    action = terms.pop("action", "")
    if action.endswith(".*"):
        rows = rows.filter(action__startswith=action[:-1])
    elif action:
        rows = rows.filter(action=action)
    for name in _EXACT:
        if value := terms.get(name, ""):
            rows = rows.filter(**{name: value})
    if outcome := terms.get("outcome", ""):
        if outcome not in Outcome.values:
            raise Invalid("outcome is success, denied or failed.", pointer="/query/outcome")
        rows = rows.filter(outcome=outcome)
    rows = rows.filter(_made(terms.get("from", ""), terms.get("to", "")))
    return _search(rows, terms.get("q", ""))


def openings_of(events: Sequence[Event]) -> dict[uuid.UUID, dict[str, list[str]]]:
    """Return the personal values of entries that have not been erased: {path: [salt, value]}."""
    if not events:
        return {}
    found: dict[uuid.UUID, dict[str, list[str]]] = {}
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT event_id, key, value ->> 0, value ->> 1 FROM audit_pii, jsonb_each(doc) "
            "WHERE event_id = ANY (%s::uuid[])",
            [[event.id for event in events]],
        )
        for event_id, path, salt, value in cursor.fetchall():
            found.setdefault(event_id, {})[path] = [salt, value]
    return found


def places_of(events: Sequence[Event]) -> dict[uuid.UUID, Place]:
    """Return where the sealed ones among the entries stand."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT event_id, log_id, leaf_index FROM audit_leaf WHERE event_id = ANY (%s::uuid[])",
            [[event.id for event in events]],
        )
        return {event_id: Place(log_id, index) for event_id, log_id, index in cursor.fetchall()}


def spellings(identifier: str) -> list[str]:
    """Return an id as it was given, and as the plain UUID it may stand for."""
    prefix, _, _ = identifier.rpartition("_")
    plain = ids.read(prefix, identifier)
    return [identifier] if plain is None else [identifier, str(plain)]


def _made(since: str, until: str) -> Q:
    """Turn times into bounds of the time-ordered id, so that the list's own index serves them."""
    condition = Q()
    if since:
        condition &= Q(id__gte=_first_id(moment(since, "/query/from")))
    if until:
        condition &= Q(id__lt=_first_id(moment(until, "/query/to")))
    return condition


def moment(text: str, pointer: str) -> datetime:
    """Read a time of a filter; a naive one is UTC.

    Raises:
        kernel.errors.Invalid: it is none.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid("An RFC 3339 time is needed here.", pointer=pointer) from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _first_id(at: datetime) -> uuid.UUID:
    milliseconds = max(0, min(int(at.timestamp() * 1000), 2**48 - 1))
    return uuid.UUID(int=milliseconds << _MILLISECONDS)


def _search(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    if not text:
        return rows
    if len(text) > _LONGEST_SEARCH or "\x00" in text:
        raise Invalid("q is a text of at most 200 characters.", pointer="/query/q")
    if tenant_or_none() is None:
        return rows.filter(id__in=RawSQL(_SEARCH_ALL, [text]))  # noqa: S611 - bound parameters
    return rows.filter(RawSQL(_SEARCH_TENANT, [text], BooleanField()))  # noqa: S611 - bound parameters
