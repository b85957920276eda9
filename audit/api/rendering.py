"""Entries as JSON: the hashed bytes read back, personal values put in where they still open."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from audit.models import Event, Stream
from audit.queries.events import Place, openings_of, places_of
from audit.registry import registry
from kernel.ids import TENANT, encode

EVENT_PREFIX = "aud"
_PLACES = ("context.metadata.", "changes.before.", "changes.after.", "context.")


def render(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Render a page of entries with two further queries, whatever its length."""
    openings, places = openings_of(events), places_of(events)
    return [_render(event, openings.get(event.id, {}), places.get(event.id)) for event in events]


def _render(event: Event, openings: dict[str, list[str]], place: Place | None) -> dict[str, Any]:
    leaf = json.loads(bytes(event.leaf))
    for path, (_, value) in openings.items():
        _put(leaf, path, value)
    known = registry.get(event.action) if event.action in registry else None
    return {
        "id": encode(EVENT_PREFIX, event.id),
        "tenant": encode(TENANT, event.tenant_id) if event.tenant_id.int else None,
        "stream": Stream(event.stream).name.lower(),
        "action": event.action,
        "schema": leaf["schema"],
        "severity": known.severity.value if known else "info",
        "summary": _summary(known.template if known else event.action, event),
        "occurred_at": leaf["at"],
        "recorded_at": event.recorded_at,
        "actor": leaf["actor"],
        "targets": leaf["targets"],
        "outcome": event.outcome,
        "context": leaf["context"],
        "changes": leaf["changes"],
        "leaf_hash": b64encode(bytes(event.leaf_hash)).decode(),
        "sealed": place is not None,
        "log": place.log_id.hex if place else None,
        "leaf_index": place.index if place else None,
    }


def _summary(template: str, event: Event) -> str:
    actor = f"{event.actor_type} {event.actor_id}".strip()
    target = f"{event.target_type} {event.target_id}".strip()
    return template.format(actor=actor, target=target, tenant=event.tenant_id)


def _put(leaf: dict[str, Any], path: str, value: str) -> None:
    """Put an opened value into its place; names of fields may hold dots."""
    place = next(prefix for prefix in _PLACES if path.startswith(prefix))
    inner: dict[str, Any] = leaf
    for step in place[:-1].split("."):
        inner = inner.get(step, {})
    inner[path.removeprefix(place)] = value
