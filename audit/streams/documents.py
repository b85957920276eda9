"""What a stream says: one JSON document for each place of a log, and for each checkpoint.

The hashed bytes of an entry stand in its document as they are, personal values as commitments: so
nothing that may have to be erased leaves, and a receiver can recompute hashes and roots.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from audit.models import Stream
from audit.queries.logs import Published
from audit.registry import Severity, registry
from audit.sealing.keys import ring
from audit.sealing.tiles import DatabaseTiles
from audit.streams.progress import Position
from audit.tree.hashes import leaf_hash
from audit.tree.proofs import consistency_proof
from kernel.ids import encode

EVENT_PREFIX: Final = "aud"
TENANT_PREFIX: Final = "ten"


@dataclass(frozen=True, slots=True)
class Document:
    """One message: its id for deduplication, when it happened, how grave it is, its JSON."""

    id: str
    name: str
    at: datetime
    severity: Severity
    body: bytes


def of_entries(
    at: Position, stop: int, found: Sequence[tuple[int, UUID, bytes]]
) -> Iterator[Document]:
    """Write the places [first, stop) of a log, in order and without a gap.

    A place whose bytes are gone (pruned, or lost to tampering) is told as such, never skipped.
    """
    there = {index: (event, leaf) for index, event, leaf in found}
    for index in range(at.first, stop):
        yield _entry(at, index, *there[index]) if index in there else _missing(at, index)


def of_checkpoint(at: Position, published: Published) -> Document:
    """Write a signed note with the proof that the log only grew since the last one told."""
    path: Sequence[bytes] = ()
    if 0 < at.first <= published.size:
        path = consistency_proof(DatabaseTiles(at.log_id), at.first, published.size)
    facts = {
        "type": "audit.checkpoint",
        **_place(at),
        "origin": at.origin,
        "size": published.size,
        "root": b64encode(published.root).decode(),
        "note": published.note,
        "vkeys": [key.vkey for pair in ring().verifiers(at.origin) for key in pair],
        "old": at.first,
        "consistency": [b64encode(one).decode() for one in path],
    }
    name = f"checkpoint_{at.log_id.hex}_{published.size}"
    return _document(name, "audit.checkpoint", datetime.now(UTC), Severity.INFO, facts)


def of_note(at: Position, published: Published) -> Document:
    """Write the signed note that covers a batch."""
    facts = {
        "type": "audit.checkpoint",
        **_place(at),
        "size": published.size,
        "note": published.note,
    }
    name = f"checkpoint_{at.log_id.hex}_{published.size}"
    return _document(name, "audit.checkpoint", datetime.now(UTC), Severity.INFO, facts)


def of_test(stream_id: str) -> Document:
    """Write a message that says nothing but that the stream works."""
    now = datetime.now(UTC)
    facts = {"type": "audit.stream.test", "stream": stream_id, "at": now.isoformat()}
    name = f"test_{stream_id}_{int(now.timestamp())}"
    return _document(name, "audit.stream.test", now, Severity.INFO, facts)


def _entry(at: Position, index: int, event: UUID, leaf: bytes) -> Document:
    told = json.loads(leaf)
    action: str = told["action"]
    severity = registry.get(action).severity if action in registry else Severity.INFO
    identifier = encode(EVENT_PREFIX, event)
    facts = {
        "id": identifier,
        **_place(at),
        "leaf_index": index,
        "leaf_hash": b64encode(leaf_hash(leaf)).decode(),
        "severity": severity.value,
        "leaf": orjson.Fragment(leaf),
    }
    return _document(identifier, action, datetime.fromisoformat(told["at"]), severity, facts)


def _missing(at: Position, index: int) -> Document:
    facts = {"id": None, **_place(at), "leaf_index": index, "missing": True}
    name = f"missing_{at.log_id.hex}_{index}"
    return _document(name, "audit.entry.missing", datetime.now(UTC), Severity.WARNING, facts)


def _place(at: Position) -> dict[str, Any]:
    tenant = encode(TENANT_PREFIX, at.tenant_id) if at.tenant_id.int else None
    stream = Stream(at.stream).name.lower() if at.stream in Stream.values else "heads"
    return {"tenant": tenant, "stream": stream, "log": at.log_id.hex}


def _document(
    identifier: str, name: str, at: datetime, severity: Severity, facts: Mapping[str, Any]
) -> Document:
    return Document(identifier, name, at, severity, orjson.dumps(facts))
