"""Entries as JSON: the hashed bytes read back, personal values put in where they still open."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson

from audit.models import PLATFORM_TENANT, Stream
from audit.queries.events import Listed, newest
from audit.queries.filters import Filter, read
from audit.registry import registry
from kernel.http.pagination import decode_cursor, encode_cursor, limit_of, select
from kernel.ids import TENANT, encode

EVENT_PREFIX = "aud"
_STREAMS: Final = {int(one): one.name.lower() for one in Stream}
_PLACES = ("context.metadata.", "changes.before.", "changes.after.", "context.")
EVERYTHING: Final = Filter()


def page(query: Mapping[str, str], bound: Filter = EVERYTHING) -> dict[str, Any]:
    """Give a page of the entries that ``query`` asks for, within a filter: ``{items, next}``.

    Raises:
        kernel.errors.Invalid: a parameter is malformed.
    """
    limit, asked = limit_of(query), read(query) & bound
    if cursor := query.get("cursor"):
        asked &= Filter(before=decode_cursor(cursor))
    found = newest(asked, limit + 1)
    following = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return {"items": select(render(found[:limit]), query), "next": following}


def render(entries: Sequence[Listed]) -> list[dict[str, Any]]:
    """Render entries, newest first as they come."""
    return [_render(entry) for entry in entries]


def _render(entry: Listed) -> dict[str, Any]:
    leaf = orjson.loads(entry.leaf)
    if entry.openings is not None:
        for path, value in _opened(entry.openings):
            _put(leaf, path, value)
    known = registry.get(entry.action) if entry.action in registry else None
    return {
        "id": encode(EVENT_PREFIX, entry.id),
        "tenant": _shown(entry.tenant_id),
        "stream": _STREAMS[entry.stream],
        "action": entry.action,
        "schema": leaf["schema"],
        "severity": known.severity.value if known else "info",
        "summary": _summary(known.template if known else entry.action, entry),
        "occurred_at": leaf["at"],
        "recorded_at": entry.recorded_at,
        "actor": leaf["actor"],
        "targets": leaf["targets"],
        "outcome": entry.outcome,
        "context": leaf["context"],
        "changes": leaf["changes"],
        "leaf_hash": entry.leaf_hash,
        "sealed": entry.log_id is not None,
        "log": entry.log_id,
        "leaf_index": entry.leaf_index,
    }


def _opened(stored: str) -> Iterator[tuple[str, str]]:
    """Go through the opened values; what is no opening opens nothing, and audit_verify names it."""
    for document in orjson.loads(stored):
        if isinstance(document, dict):
            for path, opening in document.items():
                match opening:
                    case [_, str(value)] if path.startswith(_PLACES):
                        yield path, value


@lru_cache(maxsize=1024)
def _shown(tenant_id: str) -> str | None:
    """Show a tenant; None for the instance's own entries."""
    tenant = UUID(tenant_id)
    return None if tenant == PLATFORM_TENANT else encode(TENANT, tenant)


def _summary(template: str, entry: Listed) -> str:
    actor = f"{entry.actor_type} {entry.actor_id}".strip()
    target = f"{entry.target_type} {entry.target_id}".strip()
    return template.format(actor=actor, target=target, tenant=entry.tenant_id)


def _put(leaf: dict[str, Any], path: str, value: str) -> None:
    """Put an opened value into its place; names of fields may hold dots."""
    place = next(prefix for prefix in _PLACES if path.startswith(prefix))
    inner: dict[str, Any] = leaf
    for step in place[:-1].split("."):
        inner = inner.get(step, {})
    inner[path.removeprefix(place)] = value
