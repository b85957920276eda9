"""One stored entry against its hashed bytes: hash, projected columns, openings."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson

from audit.encoding.commitment import PREFIX, Opening, commitment, is_commitment
from audit.verification.findings import LogReport, Verdict
from audit.verification.storage import COLUMNS, SEPARATOR

Openings = dict[str, Sequence[str]]
_COMMITTED: Final = b'"c:'


class _Actor(msgspec.Struct, gc=False):
    type: str
    id: str
    on_behalf_of: str


class _Target(msgspec.Struct, gc=False):
    type: str
    id: str


class _Leaf(msgspec.Struct, gc=False):
    """What is compared of an entry's bytes; read so in two thirds of the time of a dict."""

    id: str
    tenant: str
    stream: int
    at: str
    action: str
    actor: _Actor
    targets: list[_Target]
    outcome: str
    context: dict[str, Any]
    changes: dict[str, Any]


_NO_TARGET: Final = _Target("", "")
_read: Final = msgspec.json.Decoder(_Leaf).decode


def check(report: LogReport, index: int, row: Sequence[Any]) -> None:
    """Check an entry; `row` is what :func:`audit.verification.storage.places` gives for it."""
    _, sealed, event, leaf, same_hash, columns, openings, blob = row
    if leaf is None:
        report.add(Verdict.MISSING, f"entry {event} has no bytes", index)
        return
    if sha256(b"\x00" + leaf).digest() != sealed:
        report.add(Verdict.INVALID, f"entry {event}: bytes differ from the sealed hash", index)
        return
    if not same_hash:
        report.add(Verdict.INVALID, f"entry {event}: stored hash differs from its bytes", index)
    try:
        document = _read(leaf)
    except msgspec.DecodeError as error:
        report.add(Verdict.INVALID, f"entry {event}: its bytes are no entry: {error}", index)
        return
    wrong = _wrong_column(document, event, columns) or _wrong_blob(document.changes, blob)
    if wrong:
        report.add(Verdict.INVALID, f"entry {event}: column {wrong} differs from the bytes", index)
    if openings is not None or _COMMITTED in leaf:
        opened = _merged(openings)
        if leaf.count(_COMMITTED) != len(opened) or not _all_open(document, opened):
            _check_openings(report, index, document, opened)


def _wrong_column(document: _Leaf, event: str, columns: str) -> str:
    """Name a column that differs from the bytes; all are compared at once."""
    actor, targets = document.actor, document.targets
    first = targets[0] if targets else _NO_TARGET
    request_id = document.context.get("request_id")
    if document.id != event:
        return "id"
    if type(request_id) is not str:
        return "request_id"
    expected = (
        document.tenant,
        str(document.stream),
        document.at,
        document.action,
        actor.type,
        actor.id,
        actor.on_behalf_of,
        first.type,
        first.id,
        document.outcome,
        request_id,
    )
    if SEPARATOR.join(expected) == columns:
        return ""
    stored = orjson.loads(columns) if columns.startswith("[") else columns.split(SEPARATOR)
    pairs = zip(COLUMNS, expected, stored, strict=False)
    return next((name for name, ours, theirs in pairs if ours != theirs), "")


def _wrong_blob(changes: dict[str, Any], blob: str | None) -> str:
    if len(changes) == 1 and changes.get("sha256", blob) != blob:
        return "blob"
    return ""


def _merged(openings: str | None) -> Openings:
    """Gather an entry's openings, of however many people; a value is ``[salt in hex, value]``."""
    documents = orjson.loads(openings) if openings is not None else [{}]
    merged: Openings = documents[0]
    for document in documents[1:]:
        merged |= document
    return merged


def _all_open(document: _Leaf, openings: Openings) -> bool:
    """Tell whether each opening fits what the leaf holds at its path.

    With as many openings as the bytes have texts that begin like a commitment, that is all there
    is to know: each field has its opening, and no opening is without a field.
    """
    for path, (salt, value) in openings.items():
        kind, group, name = _place(path)
        if kind == "changes":
            fields = document.changes.get(group)
        else:
            fields = document.context if kind == "context" else document.context.get(group)
        if not kind or type(fields) is not dict:
            return False
        if commitment(path, Opening(bytes.fromhex(salt), value)) != fields.get(name):
            return False
    return True


@lru_cache(maxsize=4096)
def _place(path: str) -> tuple[str, str, str]:
    """Split a path into its kind ("": no place for a commitment), the group there, the field."""
    start, _, rest = path.partition(".")
    group, _, name = rest.partition(".")
    if start == "changes" and name:
        return start, group, name
    if start != "context":
        return "", "", path
    return ("metadata", group, name) if group == "metadata" and name else (start, "", rest)


def _check_openings(report: LogReport, index: int, document: _Leaf, openings: Openings) -> None:
    """Name each commitment without its opening and each opening without its commitment."""
    committed = dict(_commitments(document))
    for path, text in committed.items():
        opening = openings.get(path)
        if opening is None:
            report.note(Verdict.ERASED)
        elif commitment(path, Opening(bytes.fromhex(opening[0]), opening[1])) != text:
            report.add(Verdict.INVALID, f"the value of {path} is not the committed one", index)
    for path in openings.keys() - committed.keys():
        report.add(Verdict.INVALID, f"an opening of {path}, to which nothing is committed", index)


def _commitments(document: _Leaf) -> list[tuple[str, str]]:
    """Return the fields of a leaf that hold commitments, by their paths."""
    context, changes = document.context, document.changes
    found = _committed_in("context.", context)
    if "metadata" in context:
        found += _committed_in("context.metadata.", context["metadata"])
    for side, fields in changes.items():
        if type(fields) is dict:
            found += _committed_in(f"changes.{side}.", fields)
    return found


def _committed_in(prefix: str, fields: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (prefix + name, value)
        for name, value in fields.items()
        if type(value) is str and value[:2] == PREFIX and is_commitment(value)
    ]


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
