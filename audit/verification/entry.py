"""One stored entry against its hashed bytes: hash, projected columns, openings."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson

from audit.encoding.commitment import commitment_to, message_of
from audit.verification.findings import LogReport, Verdict
from audit.verification.openings import Held, Openings
from audit.verification.storage import COLUMNS, SEPARATOR

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

    log: str
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


class _State(msgspec.Struct, gc=False):
    """The bytes of an entry of the heads log."""

    log: str
    size: int
    root: str


_read_state: Final = msgspec.json.Decoder(_State).decode
_NO_TARGET: Final = _Target("", "")
_read: Final = msgspec.json.Decoder(_Leaf).decode


def check(report: LogReport, index: int, row: Sequence[Any], thorough: Openings) -> None:
    """Check an entry; `row` is what :func:`audit.verification.storage.places` gives for it.

    Openings that do not all fit at the first look are left to `thorough`.
    """
    _, sealed, event, leaf, agrees, columns, openings, blob = row
    if leaf is None:
        report.add(Verdict.MISSING, f"entry {event} has no bytes", index)
        return
    if sha256(b"\x00" + leaf).digest() != sealed:
        report.add(Verdict.INVALID, f"entry {event}: bytes differ from the sealed hash", index)
        return
    try:
        document = _read(leaf)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        report.add(Verdict.INVALID, f"entry {event}: its bytes are no entry: {error}", index)
        return
    wrong = _wrong_column(document, event, columns) or _wrong_blob(document.changes, blob)
    if wrong:
        report.add(Verdict.INVALID, f"entry {event}: column {wrong} differs from the bytes", index)
    elif not agrees:
        detail = f"entry {event}: stored hash, tenant or stream differs from its place or log"
        report.add(Verdict.INVALID, detail, index)
    elif report.origin.rpartition("/")[0] != document.log:
        detail = f"entry {event}: it was made for another place than this log"
        report.add(Verdict.INVALID, detail, index)
    has_openings = openings is not None or _COMMITTED in leaf
    if has_openings and not _all_open(document, leaf.count(_COMMITTED), openings):
        held = Held(event, document.context, document.changes, openings)
        thorough.judge(report, index, held)


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


def _all_open(document: _Leaf, committed: int, openings: str | None) -> bool:
    """Tell whether there is an opening for each of so many commitments, and each one fits.

    The stored openings may be anything that is JSON: what is no opening does not fit.
    """
    try:
        merged = _merged(openings)
        return len(merged) == committed and _each_opens(document, merged)
    except (ValueError, TypeError, AttributeError):
        return False


def _merged(openings: str | None) -> dict[str, Sequence[str]]:
    """Gather an entry's openings, of however many people; a value is ``[salt in hex, value]``.

    Raises:
        ValueError: two of them open the same path.
    """
    documents = orjson.loads(openings) if openings is not None else [{}]
    merged: dict[str, Sequence[str]] = documents[0]
    for document in documents[1:]:
        if merged.keys() & document.keys():
            raise ValueError("a path is opened twice")
        merged |= document
    return merged


def _each_opens(document: _Leaf, openings: dict[str, Sequence[str]]) -> bool:
    """Tell whether each opening fits what the leaf holds at its path.

    With as many openings as the bytes have texts that begin like a commitment, that is all there
    is to know: each field has its opening, and no opening is without a field.
    """
    for path, (salt, value) in openings.items():
        section, group, name, message = _place(path)
        if not section:
            return False
        fields: Any = document.context if section == "context" else document.changes
        if group:
            fields = fields.get(group)
        if type(fields) is not dict:
            return False
        if commitment_to(bytes.fromhex(salt), message + value.encode()) != fields.get(name):
            return False
    return True


@lru_cache(maxsize=4096)
def _place(path: str) -> tuple[str, str, str, bytes]:
    """Split a path into its section of the bytes ("": no place for a commitment), the group in it
    ("": the section itself) and the field; and give what its commitment's message begins with.
    """
    message = message_of(path)
    section, _, rest = path.partition(".")
    group, _, name = rest.partition(".")
    if section == "changes" and name:
        return section, group, name, message
    if section != "context":
        return "", "", path, message
    if group == "metadata" and name:
        return section, group, name, message
    return section, "", rest, message


def check_state(report: LogReport, index: int, row: Sequence[Any], alias: str) -> None:
    """Check an entry of the heads log.

    `row` holds: place's hash, entry id, leaf, log, size, root, whether the other columns agree.
    `alias` is the log's name in it.
    """
    sealed, leaf = row[0], row[2]
    if leaf is None:
        report.add(Verdict.MISSING, f"heads entry {row[1]} has no bytes", index)
        return
    digest = sha256(b"\x00" + leaf).digest()
    if digest != sealed:
        report.add(Verdict.INVALID, f"heads entry {row[1]}: bytes differ from the hash", index)
        return
    try:
        document = _read_state(leaf)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        report.add(Verdict.INVALID, f"heads entry {row[1]}: its bytes are no state: {error}", index)
        return
    told = (document.log, document.size, document.root)
    if told != (alias, row[4], row[5].hex()) or not row[6]:
        report.add(Verdict.INVALID, f"heads entry {row[1]}: columns differ from the bytes", index)
