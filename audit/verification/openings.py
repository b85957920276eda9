"""The openings of one log's entries, looked at thoroughly where the quick look found a difference.

A committed value without its opening is erased where a sealed entry of an erasure says so
(:mod:`audit.verification.erasures`), and unopened where nothing does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from audit.encoding.commitment import PREFIX, Opening, commitment, is_commitment
from audit.verification import storage
from audit.verification.erasures import Erasures
from audit.verification.findings import LogReport, Verdict

_MOST_PLACES: Final = 100


@dataclass(frozen=True, slots=True)
class Held:
    """What an entry's bytes hold, and the openings that are stored beside them."""

    event: str
    context: dict[str, Any]
    changes: dict[str, Any]
    openings: str | None


class Openings:
    """Judges openings piece by piece: what needs the database waits until a piece is read."""

    def __init__(
        self, erasures: Erasures, is_pruned: Callable[[int], bool] = lambda _: False
    ) -> None:
        self._erasures = erasures
        self._is_pruned = is_pruned
        self._large: list[tuple[int, Held]] = []
        self._untold = 0
        """Values without an opening of which no erasure tells by name."""
        self._places: list[tuple[int, str]] = []

    def begin(self, first: int, past: int) -> None:
        """Get ready for the places [first, past)."""
        self._erasures.load(first, past)

    def judge(self, report: LogReport, index: int, held: Held) -> None:
        """Name each commitment without its opening and each opening without its commitment."""
        if held.changes.keys() == {"sha256"}:
            self._large.append((index, held))
        else:
            self._judge(report, index, held)

    def settle(self, report: LogReport) -> None:
        """Judge what had to wait: entries whose changes lie beside them."""
        large, self._large = self._large, []
        for index, held in large:
            self._judge(report, index, _whole(held))

    def tell(self, report: LogReport) -> None:
        """Name, at the end, what no erasure tells of; older erasures told only how many values."""
        allowed = self._erasures.uncounted
        if self._untold <= allowed:
            report.note(Verdict.ERASED, self._untold)
            return
        report.note(Verdict.ERASED, allowed)
        gone = "has no opening, and no erasure tells of that"
        if allowed:
            first, _ = self._places[0]
            detail = f"{self._untold} values have no opening, older erasures tell of {allowed}"
            report.add(Verdict.UNOPENED, detail, first)
        else:
            for index, path in self._places:
                report.add(Verdict.UNOPENED, f"the value of {path} {gone}", index)
        named = report.counts.get(Verdict.UNOPENED, 0)
        report.note(Verdict.UNOPENED, self._untold - allowed - named)

    def _judge(self, report: LogReport, index: int, held: Held) -> None:
        committed = dict(_commitments(held))
        openings, faults = _read(held.openings)
        for fault in faults:
            report.add(Verdict.INVALID, fault, index)
        for path, text in committed.items():
            if path not in openings:
                if not faults:
                    self._miss(report, index, path)
            elif not _opens(path, text, openings[path]):
                report.add(Verdict.INVALID, f"the value of {path} is not the committed one", index)
        for path in openings.keys() - committed.keys():
            detail = f"an opening of {path}, to which nothing is committed"
            report.add(Verdict.INVALID, detail, index)

    def _miss(self, report: LogReport, index: int, path: str) -> None:
        if self._erasures.covers(index, path) or self._is_pruned(index):
            report.note(Verdict.ERASED)
            return
        self._untold += 1
        if len(self._places) < _MOST_PLACES:
            self._places.append((index, path))


def _read(stored: str | None) -> tuple[dict[str, Any], list[str]]:
    """Gather what people's documents say of each path, and what is wrong with the documents."""
    openings: dict[str, Any] = {}
    try:
        documents = orjson.loads(stored) if stored is not None else []
    except ValueError:
        return {}, ["the stored openings are none"]
    faults = []
    for document in documents:
        if not isinstance(document, dict):
            faults.append("the stored openings are none")
            continue
        faults += [f"{path} is opened twice" for path in document.keys() & openings.keys()]
        openings |= document
    return openings, faults


def _opens(path: str, committed: str, stored: Any) -> bool:
    """Tell whether what is stored is an opening, and that of the committed value."""
    match stored:
        case [str(salt), str(value)]:
            try:
                return commitment(path, Opening(bytes.fromhex(salt), value)) == committed
            except ValueError:
                return False
    return False


def _whole(held: Held) -> Held:
    """Put the changes that lie beside an entry into their place; what is no change says nothing."""
    try:
        changes = orjson.loads(storage.blob(UUID(held.event)) or b"{}")
    except ValueError:
        changes = {}
    return Held(held.event, held.context, changes if isinstance(changes, dict) else {},
                held.openings)  # fmt: skip


def _commitments(held: Held) -> list[tuple[str, str]]:
    """Return the fields of an entry that hold commitments, by their paths.

    The request's id is whatever a client sent, and never personal.
    """
    context = {name: value for name, value in held.context.items() if name != "request_id"}
    found = _committed_in("context.", context)
    if isinstance(metadata := context.get("metadata"), dict):
        found += _committed_in("context.metadata.", metadata)
    for side, fields in held.changes.items():
        if isinstance(fields, dict):
            found += _committed_in(f"changes.{side}.", fields)
    return found


def _committed_in(prefix: str, fields: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (prefix + name, value)
        for name, value in fields.items()
        if type(value) is str and value[:2] == PREFIX and is_commitment(value)
    ]
