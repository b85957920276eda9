"""Makes one entry: the exact bytes that will be hashed, and what stands beside the tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from audit.c2sp.tiles import MAX_ENTRY
from audit.encoding.canonical import Value, encode
from audit.encoding.commitment import commit, is_commitment
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
Openings = dict[str, dict[str, list[str]]]
"""By person and path: salt in hex, value."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that an action touched: its type and its public id."""

    type: str
    id: str


_NO_TARGET: Final = Target("", "")


@dataclass(slots=True, kw_only=True)  # not frozen: that triples the cost of making one
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
    entry_id: UUID | None = None


@dataclass(slots=True)
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
    openings: Openings = field(default_factory=dict)
    blob: bytes | None = None

    @property
    def leaf_hash(self) -> bytes:
        """The hash under which the sealer will put the entry into its tree."""
        return leaf_hash(self.leaf)


def build(draft: Draft, context: Context, *, origin: str) -> Entry:
    """Write the entry of one change.

    Raises:
        audit.encoding.canonical.EncodingRefusedError: a value has no certain byte form.
    """
    identifier = draft.entry_id or new_id()
    occurred_at = draft.occurred_at or datetime.now(UTC)
    action, stream, outcome = draft.action.name, int(draft.stream), draft.outcome.value
    openings: Openings = {}
    leaf, blob = _encode({
        "v": LEAF_VERSION,
        "log": origin,
        "id": str(identifier),
        "tenant": str(draft.tenant_id),
        "stream": stream,
        "at": timestamp(occurred_at),
        "action": action,
        "schema": draft.action.schema,
        "actor": {
            "type": context.actor_type,
            "id": context.actor_id,
            "on_behalf_of": context.on_behalf_of,
        },
        "targets": [{"type": target.type, "id": target.id} for target in draft.targets],
        "outcome": outcome,
        "context": _facts(draft, context, openings),
        "changes": _changes(draft, context, openings),
    })  # fmt: skip
    first = draft.targets[0] if draft.targets else _NO_TARGET
    return Entry(
        identifier,
        draft.tenant_id,
        stream,
        occurred_at,
        action,
        context.actor_type,
        context.actor_id,
        context.on_behalf_of,
        first.type,
        first.id,
        outcome,
        context.request_id,
        leaf,
        openings,
        blob,
    )


def _facts(draft: Draft, context: Context, openings: Openings) -> Json:
    """Write where it came from; what tells of the actor as a person is committed to."""
    actor = context.actor_id or NOBODY
    facts: Json = {"request_id": context.request_id}
    for name, value in (
        ("ip", context.ip),
        ("user_agent", context.user_agent),
        ("reason", draft.reason),
    ):
        if value:
            facts[name] = _committed(openings, actor, f"context.{name}", value)
    if draft.metadata:
        facts["metadata"] = _fields(draft.metadata, draft, context, openings, "context.metadata")
    return facts


def _changes(draft: Draft, context: Context, openings: Openings) -> Json:
    """Write the fields before and after; only those that differ when both sides are known."""
    before, after = draft.before, draft.after
    if before is not None and after is not None:
        former = before
        before = {n: v for n, v in former.items() if n not in after or v != after[n]}
        after = {n: v for n, v in after.items() if n not in former or former[n] != v}
    changes: Json = {}
    if before is not None:
        changes["before"] = _fields(before, draft, context, openings, "changes.before")
    if after is not None:
        changes["after"] = _fields(after, draft, context, openings, "changes.after")
    return changes


def _fields(
    values: Mapping[str, Any], draft: Draft, context: Context, openings: Openings, path: str
) -> Json:
    action = draft.action
    fields: Json = {}
    for key, raw in values.items():
        name = str(key)
        if name in action.secret or name.lower() in ALWAYS_SECRET:
            fields[name] = None if raw is None else MASK
        elif name in action.personal or is_commitment(raw):  # what looks like one is made one
            subject = _subject(draft, context)
            fields[name] = _committed(openings, subject, f"{path}.{name}", plain(raw))
        else:
            fields[name] = plain(raw)
    return fields


def _subject(draft: Draft, context: Context) -> str:
    """Name the person whom personal fields concern."""
    if draft.subject_id:
        return draft.subject_id
    return draft.targets[0].id if draft.targets else context.actor_id or NOBODY


def _committed(openings: Openings, subject: str, path: str, value: Value) -> Value:
    """Replace a personal value by its commitment; null and the empty text say nothing."""
    if value is None or value == "":
        return value
    text = value if isinstance(value, str) else encode(value).decode()
    committed, opening = commit(path, text)
    openings.setdefault(subject, {})[path] = [opening.salt.hex(), opening.value]
    return committed


def _encode(document: Json) -> tuple[bytes, bytes | None]:
    """Return leaf and blob: changes beyond the leaf's size stand beside it under their digest."""
    leaf = encode(document)
    if len(leaf) <= MAX_ENTRY:
        return leaf, None
    blob = encode(document["changes"])
    return encode({**document, "changes": {"sha256": sha256(blob).hexdigest()}}), blob
