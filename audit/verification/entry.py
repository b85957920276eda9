"""One stored entry against its hashed bytes: hash, projected columns, openings."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

import orjson

from audit.encoding.commitment import Opening, is_commitment, opens
from audit.verification.findings import LogReport, Verdict

Openings = dict[str, Sequence[str]]
_NO_TARGET: Final = {"type": "", "id": ""}
_COMMITTED: Final = b'"c:'
_COLUMNS: Final = (
    "id", "tenant_id", "stream", "occurred_at", "action", "actor_type", "actor_id", "on_behalf_of",
    "target_type", "target_id", "outcome", "request_id",
)  # fmt: skip


def check(report: LogReport, index: int, row: Sequence[Any], openings: Openings) -> None:
    """Check an entry.

    `row` holds, ids and times as the leaf writes them: place's hash, event id, leaf, event's hash,
    tenant, stream, occurred_at, action, actor_type, actor_id, on_behalf_of, target_type, target_id,
    outcome, request_id, digest of the blob.
    """
    sealed, leaf = row[0], row[2]
    if leaf is None:
        report.add(Verdict.MISSING, f"entry {row[1]} has no bytes", index)
        return
    digest = sha256(b"\x00" + leaf).digest()
    if digest != sealed:
        report.add(Verdict.INVALID, f"entry {row[1]}: bytes differ from the sealed hash", index)
        return
    if row[3] != digest:
        report.add(Verdict.INVALID, f"entry {row[1]}: stored hash differs from its bytes", index)
    document = orjson.loads(leaf)
    wrong = _wrong_columns(document, row)
    if wrong:
        report.add(
            Verdict.INVALID, f"entry {row[1]}: column {wrong[0]} differs from the bytes", index
        )
    if openings or _COMMITTED in leaf:
        _check_openings(report, index, document, openings)


def _wrong_columns(document: dict[str, Any], row: Sequence[Any]) -> list[str]:
    """Name the columns that differ from the bytes; the comparison of all at once comes first."""
    actor, targets = document["actor"], document["targets"]
    first = targets[0] if targets else _NO_TARGET
    expected = (
        document["id"],
        document["tenant"],
        document["stream"],
        document["at"],
        document["action"],
        actor["type"],
        actor["id"],
        actor["on_behalf_of"],
        first["type"],
        first["id"],
        document["outcome"],
        document["context"]["request_id"],
    )
    stored = (row[1], *row[4:15])
    wrong: list[str] = []
    if expected != stored:
        wrong = [name for name, a, b in zip(_COLUMNS, expected, stored, strict=True) if a != b]
    changes = document["changes"]
    if len(changes) == 1 and changes.get("sha256", row[15]) != row[15]:
        wrong.append("blob")
    return wrong


def _check_openings(
    report: LogReport, index: int, document: dict[str, Any], openings: Openings
) -> None:
    committed = dict(_commitments(document))
    for path, text in committed.items():
        opening = openings.get(path)
        if opening is None:
            report.note(Verdict.ERASED)
        elif not opens(path, text, Opening(bytes.fromhex(opening[0]), opening[1])):
            report.add(Verdict.INVALID, f"the value of {path} is not the committed one", index)
    for path in openings.keys() - committed.keys():
        report.add(Verdict.INVALID, f"an opening of {path}, to which nothing is committed", index)


def _commitments(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Go through the fields where commitments may stand."""
    context = document["context"]
    places = [("context", context), ("context.metadata", context.get("metadata", {}))]
    places += [(f"changes.{side}", fields) for side, fields in document["changes"].items()]
    for prefix, fields in places:
        if isinstance(fields, dict):
            for name, value in fields.items():
                if is_commitment(value):
                    yield f"{prefix}.{name}", value


def opening_map(rows: Sequence[tuple[str, str]]) -> dict[str, Openings]:
    """Gather the openings of a batch by entry; a value is ``{path: [salt in hex, value]}``."""
    found: dict[str, Openings] = {}
    for event_id, document in rows:
        found.setdefault(event_id, {}).update(orjson.loads(document))
    return found


def check_state(report: LogReport, index: int, row: Sequence[Any], alias: str) -> None:
    """Check an entry of the heads log.

    `row` holds: place's hash, entry id, leaf, log, size, root. `alias` is the log's name in it.
    """
    sealed, leaf = row[0], row[2]
    if leaf is None:
        report.add(Verdict.MISSING, f"heads entry {row[1]} has no bytes", index)
        return
    digest = sha256(b"\x00" + leaf).digest()
    if digest != sealed:
        report.add(Verdict.INVALID, f"heads entry {row[1]}: bytes differ from the hash", index)
        return
    document = orjson.loads(leaf)
    if (document["log"], document["size"], document["root"]) != (alias, row[4], row[5].hex()):
        report.add(Verdict.INVALID, f"heads entry {row[1]}: columns differ from the bytes", index)
