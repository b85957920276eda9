"""Makes one entry: the exact bytes that will be hashed, and what stands beside the tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from audit.c2sp.tiles import MAX_ENTRY
from audit.encoding.canonical import Value, encode
from audit.encoding.commitment import Opening, commit
from audit.encoding.plain import plain, timestamp
from audit.models import Outcome, Stream
from audit.registry import Action
from audit.services.context import Context
from audit.tree.hashes import leaf_hash
from kernel.ids import new_id

LEAF_VERSION: Final = 1
MASK: Final = "***"
ALWAYS_SECRET: Final = frozenset({
    "password", "secret", "token", "mac", "private_key", "authorization", "cookie", "pepper",
})  # fmt: skip
NOBODY: Final = "anonymous"

Json = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that an action touched: its type and its public id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the caller says about the change."""

    action: Action
    tenant_id: UUID
    stream: Stream = Stream.PLATFORM
    targets: Sequence[Target] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    reason: str = ""
    outcome: Outcome = Outcome.SUCCESS
    subject_id: str = ""
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of audit_event, with the openings of its commitments by person and a blob if needed."""

    id: UUID
    tenant_id: UUID
    stream: int
    occurred_at: datetime
    action: str
    actor_type: str
    actor_id: str
    on_behalf_of: str
    target_type: str
    target_id: str
    outcome: str
    request_id: str
    leaf: bytes
    openings: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    blob: bytes | None = None

    @property
    def leaf_hash(self) -> bytes:
        """The hash under which the sealer will put the entry into its tree."""
        return leaf_hash(self.leaf)


class _Openings:
    """Collects commitments made while a leaf is written, by the person they concern."""

    def __init__(self) -> None:
        self.by_subject: dict[str, dict[str, list[str]]] = {}

    def commit(self, subject: str, path: str, value: Value) -> Value:
        """Replace a personal value by its commitment; null and the empty text say nothing."""
        if value is None or value == "":
            return value
        text = value if isinstance(value, str) else encode(value).decode()
        committed, opening = commit(path, text)
        self.by_subject.setdefault(subject, {})[path] = _shown(opening)
        return committed


def build(draft: Draft, context: Context, *, origin: str) -> Entry:
    """Write the entry of one change.

    Raises:
        audit.encoding.canonical.EncodingRefusedError: a value has no certain byte form.
    """
    identifier = new_id()
    occurred_at = draft.occurred_at or datetime.now(UTC)
    openings = _Openings()
    document = _document(draft, context, openings)
    document |= {
        "v": LEAF_VERSION,
        "log": origin,
        "id": str(identifier),
        "tenant": str(draft.tenant_id),
        "stream": int(draft.stream),
        "at": timestamp(occurred_at),
    }
    leaf, blob = _encode(document)
    first = draft.targets[0] if draft.targets else Target("", "")
    return Entry(
        id=identifier,
        tenant_id=draft.tenant_id,
        stream=int(draft.stream),
        occurred_at=occurred_at,
        action=draft.action.name,
        actor_type=context.actor_type,
        actor_id=context.actor_id,
        on_behalf_of=context.on_behalf_of,
        target_type=first.type,
        target_id=first.id,
        outcome=draft.outcome.value,
        request_id=context.request_id,
        leaf=leaf,
        openings=openings.by_subject,
        blob=blob,
    )


def _document(draft: Draft, context: Context, openings: _Openings) -> Json:
    actor = context.actor_id or NOBODY
    subject = draft.subject_id or (draft.targets[0].id if draft.targets else actor)
    before, after = _changed(draft.before, draft.after)
    facts: Json = {"request_id": context.request_id}
    for name, value in (
        ("ip", context.ip),
        ("user_agent", context.user_agent),
        ("reason", draft.reason),
    ):
        if value:
            facts[name] = openings.commit(actor, f"context.{name}", value)
    if draft.metadata:
        facts["metadata"] = _fields(
            draft.metadata, draft.action, openings, subject, "context.metadata"
        )
    changes: Json = {}
    if before is not None:
        changes["before"] = _fields(before, draft.action, openings, subject, "changes.before")
    if after is not None:
        changes["after"] = _fields(after, draft.action, openings, subject, "changes.after")
    return {
        "action": draft.action.name,
        "schema": draft.action.schema,
        "actor": {
            "type": context.actor_type,
            "id": context.actor_id,
            "on_behalf_of": context.on_behalf_of,
        },
        "targets": [{"type": target.type, "id": target.id} for target in draft.targets],
        "outcome": draft.outcome.value,
        "context": facts,
        "changes": changes,
    }


def _changed(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Keep only the fields that differ when both sides are known."""
    if before is None or after is None:
        return before, after
    names = {
        name
        for name in {*before, *after}
        if name not in before or name not in after or before[name] != after[name]
    }
    return (
        {name: value for name, value in before.items() if name in names},
        {name: value for name, value in after.items() if name in names},
    )


def _fields(
    values: Mapping[str, Any], action: Action, openings: _Openings, subject: str, path: str
) -> Json:
    fields: Json = {}
    for key, raw in values.items():
        name = str(key)
        if name in action.secret or name.lower() in ALWAYS_SECRET:
            fields[name] = None if raw is None else MASK
        elif name in action.personal:
            fields[name] = openings.commit(subject, f"{path}.{name}", plain(raw))
        else:
            fields[name] = plain(raw)
    return fields


def _encode(document: Json) -> tuple[bytes, bytes | None]:
    """Return leaf and blob: changes beyond the leaf's size stand beside it under their digest."""
    leaf = encode(document)
    if len(leaf) <= MAX_ENTRY:
        return leaf, None
    blob = encode(document["changes"])
    return encode({**document, "changes": {"sha256": sha256(blob).hexdigest()}}), blob


def _shown(opening: Opening) -> list[str]:
    return [opening.salt.hex(), opening.value]
