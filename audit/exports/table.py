"""A log as rows with columns, one for each place, pruned ones included: for CSV and Parquet."""

import json
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from kernel import db
from kernel.tenancy import tenant_context

BATCH: Final = 5_000
COLUMNS: Final = (
    "leaf_index", "leaf_hash", "id", "at", "action", "schema", "outcome", "actor_type", "actor_id",
    "on_behalf_of", "targets", "request_id", "metadata", "changes", "leaf",
)  # fmt: skip
"""In their order; `leaf_index` and `schema` are numbers, the others text, empty where pruned."""
Row = tuple[Any, ...]
_ROWS: Final = """
SELECT l.leaf_index, l.leaf_hash, e.leaf FROM audit_leaf l
LEFT JOIN audit_event e ON e.id = l.event_id AND e.recorded_at = l.recorded_at
WHERE l.log_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s ORDER BY l.leaf_index
"""


def batches(tenant_id: UUID, log_id: UUID, first: int, past: int) -> Iterator[list[Row]]:
    """Go through the places [first, past) in batches, entering the tenant for each."""
    for start in range(first, past, BATCH):
        with tenant_context(tenant_id), db.cursor() as cursor:
            cursor.execute(_ROWS, [log_id, start, min(start + BATCH, past)])
            found = cursor.fetchall()
        yield [_row(index, bytes(digest), leaf) for index, digest, leaf in found]


def _row(index: int, digest: bytes, leaf: bytes | None) -> Row:
    if leaf is None:
        return (index, digest.hex(), "", "", "", None, *[""] * (len(COLUMNS) - 6))
    text = bytes(leaf).decode()
    document = json.loads(text)
    actor, context = document["actor"], document["context"]
    return (
        index,
        digest.hex(),
        document["id"],
        document["at"],
        document["action"],
        document["schema"],
        document["outcome"],
        actor["type"],
        actor["id"],
        actor["on_behalf_of"],
        _json(document["targets"]),
        context["request_id"],
        _json(context.get("metadata", {})),
        _json(document["changes"]),
        text,
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
