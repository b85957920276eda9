"""Verifies one log from its stored bytes, in order, in one walk.

What is recomputed on the way: every entry's hash, every full tile's root, and the root at every
size for which a checkpoint, a heads-log entry or an anchored note exists.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from audit.c2sp.checkpoint import Checkpoint, parse_checkpoint
from audit.c2sp.errors import FormatError
from audit.c2sp.note import parse, signed_by
from audit.models import HEADS_STREAM
from audit.sealing import anchors
from audit.sealing.keys import KeyRing
from audit.sealing.tiles import DatabaseTiles
from audit.tree.frontier import Frontier
from audit.tree.proofs import TreeError, frontier_at
from audit.verification import entry, storage
from audit.verification.findings import LogReport, Verdict
from audit.verification.storage import StoredHead, StoredNote

GRACE: Final = 60.0
"""Seconds for which a committed entry may have no place."""
Progress = Callable[[int], None]


class LogVerifier:
    """Walks one log once, from its first place to its last.

    `trusted` is a checkpoint that was verified before: then the walk begins at its size, if the
    stored log begins with its state. What lies below was checked then and is not read again.
    """

    def __init__(
        self,
        head: StoredHead,
        ring: KeyRing,
        progress: Progress,
        trusted: Checkpoint | None = None,
    ) -> None:
        self._head = head
        self._ring = ring
        self._progress = progress
        self._trusted = trusted
        self._first = trusted.size if trusted else 0
        self._frontier = Frontier()
        self._roots: dict[int, bytes] = {}
        self.report = LogReport(head.log_id, head.origin, head.tenant_id, head.size)

    def run(self) -> LogReport:
        """Check everything; return what was found."""
        notes = storage.notes(self._head.log_id)
        states = storage.heads_states(self._head.log_id)
        anchored = anchors.newest(self._head.log_id)
        wanted = {note.size for note in notes} | set(states) | {self._head.size}
        if anchored is not None:
            wanted.add(anchored.size)
        if not self._begin():
            return self.report
        self._walk(wanted)
        self._check_head()
        for note in notes:
            self._check_note(note)
        for size, root in states.items():
            self._check_state(size, root, "the heads log's entry")
        if anchored is not None:
            self._check_state(anchored.size, anchored.root, "the anchored checkpoint")
        self._check_unsealed()
        return self.report

    def _begin(self) -> bool:
        """Set out from the trusted state; tell whether the stored log begins with it."""
        if self._trusted is not None and self._trusted.size:
            try:
                self._frontier = frontier_at(DatabaseTiles(self._head.log_id), self._first)
            except TreeError as error:
                self.report.add(Verdict.GAP, f"the trusted state is not there: {error}")
                return False
            if self._frontier.root() != self._trusted.root:
                detail = f"the log does not begin with the trusted state of {self._first}"
                self.report.add(Verdict.INVALID, detail)
                return False
        self._roots[self._first] = self._frontier.root()
        return True

    def _walk(self, wanted: set[int]) -> None:
        nodes = {
            (level, index): digest
            for (level, index), digest in storage.nodes(self._head.log_id).items()
            if index + 1 << 8 * level > self._first
        }
        of_heads = self._head.stream == HEADS_STREAM
        for rows in storage.leaves(self._head.log_id, self._first, of_heads=of_heads):
            openings = {} if of_heads else self._openings(rows)
            for row in rows:
                digest = self._check_row(row, openings, of_heads=of_heads)
                for root in self._frontier.append(digest):
                    if nodes.pop((root.level, root.index), None) != root.hash:
                        place = root.index << 8 * root.level
                        detail = f"tile root {root.level}/{root.index} differs"
                        self.report.add(Verdict.INVALID, detail, place)
                if self._frontier.size in wanted:
                    self._roots[self._frontier.size] = self._frontier.root()
            self._progress(len(rows))
        for level, index in nodes:
            self.report.add(Verdict.INVALID, f"tile root {level}/{index} has no tile below it")

    def _openings(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, entry.Openings]:
        return entry.opening_map(storage.openings([row[2] for row in rows]))

    def _check_row(
        self, row: tuple[Any, ...], openings: dict[str, entry.Openings], *, of_heads: bool
    ) -> bytes:
        """Check one place; return the hash that stands in the tree for it.

        Bytes that differ from it are told at their place; the tree above is checked by itself, so
        that one edited entry is not told again as a wrong tile and a wrong root.
        """
        index = row[0]
        if index != self._frontier.size:
            self.report.add(
                Verdict.GAP, f"places {self._frontier.size} to {index - 1} are gone", index
            )
        if of_heads:
            alias = self._ring.log_alias(row[4]) if row[4] else ""
            entry.check_state(self.report, index, row[1:], alias)
        else:
            entry.check(self.report, index, row[1:], openings.get(row[2], {}))
        self.report.checked += 1
        sealed: bytes = row[1]
        return sealed

    def _check_head(self) -> None:
        head, frontier = self._head, self._frontier
        if frontier.size != head.size:
            self.report.add(
                Verdict.GAP,
                f"the head counts {head.size} entries, {frontier.size} places are stored",
                min(frontier.size, head.size),
            )
        elif frontier.root() != head.root:
            self.report.add(Verdict.INVALID, "the root differs from the head's")
        elif frontier.hashes != head.frontier:
            self.report.add(Verdict.INVALID, "the frontier differs from the head's")

    def _check_note(self, stored: StoredNote) -> None:
        where = f"the checkpoint of size {stored.size}"
        try:
            note = parse(stored.note)
            checkpoint = parse_checkpoint(note.text)
        except FormatError as error:
            self.report.add(Verdict.INVALID, f"{where} is malformed: {error}")
            return
        told = (checkpoint.origin, checkpoint.size, checkpoint.root)
        if told != (self._head.origin, stored.size, stored.root):
            self.report.add(Verdict.INVALID, f"{where} differs from its columns")
        pairs = self._ring.verifiers(self._head.origin)
        if not any(signed_by(note, ed) and signed_by(note, ml) for ed, ml in pairs):
            self.report.add(Verdict.INVALID, f"{where} has no good signature of ours")
        self._check_state(stored.size, checkpoint.root, where)

    def _check_state(self, size: int, root: bytes, where: str) -> None:
        if size < self._first:
            return
        found = self._roots.get(size)
        if found is None:
            detail = f"{where} knows {size} entries, the log has {self._frontier.size}"
            self.report.add(Verdict.GAP, detail, self._frontier.size)
        elif found != root:
            self.report.add(Verdict.INVALID, f"{where} has another root at size {size}")

    def _check_unsealed(self) -> None:
        if self._head.stream == HEADS_STREAM:
            return
        for event in storage.unsealed(self._head.tenant_id, self._head.stream, GRACE):
            self.report.add(Verdict.UNSEALED, f"entry {event} has no place")
