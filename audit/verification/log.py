"""Verifies one log from its stored bytes, in order, in one walk over one snapshot.

What is recomputed on the way: every entry's hash, every full tile's root, and the root at every
size for which a checkpoint, a heads-log entry or an anchored note exists. What an edit leaves
behind differs by kind, and so do the verdicts: bytes that no longer fit their hash (invalid),
entries in another order than the sealed tree has them (reordered), a tree that agrees with itself
and not with what was signed before (rebuilt).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from audit.c2sp.checkpoint import Checkpoint, parse_checkpoint
from audit.c2sp.errors import FormatError
from audit.c2sp.note import parse, signed_by
from audit.models import HEADS_STREAM
from audit.sealing import anchors, checkpoints
from audit.sealing.keys import KeyRing
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import TreeError, frontier_at
from audit.verification import anchored, entry, pruned, storage
from audit.verification.erasures import Erasures
from audit.verification.findings import LogReport, Verdict
from audit.verification.growth import Growth, Nodes, in_order
from audit.verification.openings import Openings
from audit.verification.storage import StoredHead, StoredNote
from kernel import db

GRACE: Final = 60.0
"""Seconds for which a committed entry may have no place."""
_AT_ONCE: Final = 1024
"""Places by which the tree grows: whole tiles, which are hashed level by level."""
Progress = Callable[[int], None]
# The lock keeps a month from being swapped (audit.pruning) under the snapshot, which would not see
# the rows of the new table.
_SNAPSHOT: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; "
    "LOCK TABLE ONLY audit_event IN ACCESS SHARE MODE"
)


_IN_FILE: Final = "the anchored checkpoint"


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
        self._growth = Growth(set(), {})
        self._pruned = pruned.NOTHING
        self._openings: Openings
        self._lost = 0
        """Entries whose bytes are gone, counted from the first place on; -1: not only those."""
        self.report = LogReport(head.log_id, head.origin, head.tenant_id, head.size)

    def run(self) -> LogReport:
        """Check everything; return what was found.

        The log may grow meanwhile: all is read from one snapshot, the anchored note before it.
        """
        in_file = self._in_file()
        with db.atomic():
            with db.cursor() as cursor:
                cursor.execute(_SNAPSHOT)
            self._head = storage.head(self._head.log_id)
            self.report.size = self._head.size
            self._run(in_file)
        return self.report

    def _in_file(self) -> Checkpoint | None:
        """Read the anchored note, which one of our keys must have signed."""
        try:
            known = anchors.newest(self._head.log_id)
            note = anchors.newest_note(self._head.log_id)
        except anchors.AnchorUnreadableError as error:
            self.report.add(Verdict.INVALID, str(error))
            return None
        if known is not None and note is not None:
            signed = parse(note)
            if not any(signed_by(signed, ed) for ed, _ in self._ring.verifiers(known.origin)):
                self.report.add(Verdict.UNSIGNED, "the anchored note has no signature of ours")
        return known

    def _run(self, in_file: Checkpoint | None) -> None:
        notes = storage.notes(self._head.log_id)
        states = [(note.size, note.root, _of(note)) for note in notes]
        states += [
            (size, root, "the heads log's entry")
            for size, root in storage.heads_states(self._head.log_id).items()
        ]
        outside = anchored.states(self.report, self._head.log_id, notes)
        if in_file is not None:
            outside.insert(0, (in_file.size, in_file.root, _IN_FILE))
        states += outside
        faults = sum(self.report.counts.values())
        self._pruned = pruned.announced(self.report, self._head, self._ring)
        if self._pruned.upto or sum(self.report.counts.values()) > faults:
            self._lost = -1
        if self._pruned.upto:
            states.append((self._pruned.upto, self._pruned.root, "the announced pruning"))
        self._openings = Openings(
            Erasures(self._head.log_id, self._head.tenant_id), self._pruned.covers
        )
        self._growth = Growth({size for size, _, _ in states} | {self._head.size}, self._nodes())
        if not self._begin():
            return
        self._check_below(in_file)
        self._walk()
        self._openings.tell(self.report)
        self._name_emptied()
        self._check_tree()
        for note in notes:
            self._check_note(note)
        self._check_states(states)
        self._check_withdrawn(outside, {note.size for note in notes})
        self._pruned.tell(self.report, self._first)
        self._check_unsealed()

    def _nodes(self) -> Nodes:
        return {
            (level, index): digest
            for (level, index), digest in storage.nodes(self._head.log_id).items()
            if index + 1 << 8 * level > self._first
        }

    def _begin(self) -> bool:
        """Set out from the trusted state; tell whether the stored log begins with it."""
        if self._trusted is not None and self._trusted.size:
            try:
                frontier = frontier_at(DatabaseTiles(self._head.log_id), self._first)
            except TreeError as error:
                self.report.add(Verdict.GAP, f"the trusted state is not there: {error}")
                return False
            if frontier.root() != self._trusted.root:
                detail = f"the log does not begin with the trusted state of {self._first}"
                self.report.add(Verdict.INVALID, detail)
                return False
            self._growth.begin(frontier)
        return True

    def _check_below(self, in_file: Checkpoint | None) -> None:
        """Hold the anchored note against the stored tree where the walk begins beyond its size.

        The nightly look trusts a state that the database keeps: whoever rebuilt the tree can have
        written that anew as well, and not the anchor.
        """
        if in_file is None or in_file.size >= self._first:
            return
        if not checkpoints.contains(self._head.log_id, self._head.size, in_file):
            detail = f"{_IN_FILE} has another root at size {in_file.size}"
            self.report.add(Verdict.REBUILT, detail, 0)

    def _walk(self) -> None:
        of_heads = self._head.stream == HEADS_STREAM
        check = self._check_state_entry if of_heads else self._check_entry
        expected = self._first
        growing: list[bytes] = []
        for rows in self._rows(of_heads=of_heads):
            for row in rows:
                index = row[0]
                if index != expected:
                    detail = f"places {expected} to {index - 1} are gone"
                    self.report.add(Verdict.GAP, detail, expected)
                check(index, row)
                expected = index + 1
            self.report.checked += len(rows)
            growing += [row[1] for row in rows]
            if len(growing) >= _AT_ONCE:
                self._growth.extend(growing)
                growing.clear()
            self._progress(len(rows))
        self._growth.extend(growing)

    def _rows(self, *, of_heads: bool) -> Iterator[list[tuple[Any, ...]]]:
        if of_heads:
            yield from storage.heads_leaves(self._head.log_id, self._first)
            return
        end = storage.end(self._head.log_id)
        for start in range(self._first, end, storage.PIECE):
            past = min(start + storage.PIECE, end)
            self._openings.begin(start, past)
            yield from storage.places(self._head.log_id, start, past)
            self._openings.settle(self.report)

    def _check_entry(self, index: int, row: Sequence[Any]) -> None:
        """Check one place. Bytes that differ from its hash are told here; the tree is checked by
        itself, so that one edited entry is not told again as a wrong tile and a wrong root.
        """
        if row[3] is None and self._pruned.covers(index):
            self.report.note(Verdict.PRUNED)
            return
        if row[3] is None and self._lost >= 0:
            follows = index == self._first + self._lost
            self._lost = self._lost + 1 if follows else -1
        entry.check(self.report, index, row, self._openings)

    def _name_emptied(self) -> None:
        """Tell a log that lost all it had, and may have grown since, from one that lost some.

        Where a month was pruned, or an announcement of that is forged, entries are missing.
        """
        if self._lost > 1:
            detail = f"all {self._lost} entries before place {self._first + self._lost} are gone"
            self.report.merge(Verdict.MISSING, Verdict.EMPTIED, detail, self._first)

    def _check_state_entry(self, index: int, row: Sequence[Any]) -> None:
        alias = self._ring.log_alias(row[4]) if row[4] else ""
        entry.check_state(self.report, index, row[1:], alias)

    def _check_tree(self) -> None:
        """Compare what grew from the stored places with the stored tiles and the head."""
        head, growth = self._head, self._growth
        if growth.frontier.size != head.size:
            self.report.add(
                Verdict.GAP,
                f"the head counts {head.size} entries, {growth.frontier.size} places are stored",
                min(growth.frontier.size, head.size),
            )
        elif not growth.agrees(head.root) and self._is_reordered():
            return
        for root in growth.wrong:
            place = root.index << 8 * root.level
            detail = f"tile root {root.level}/{root.index} differs"
            self.report.add(Verdict.INVALID, detail, place)
        for level, index in growth.nodes:
            self.report.add(Verdict.INVALID, f"tile root {level}/{index} has no tile below it")
        if growth.frontier.size != head.size:
            return
        if growth.frontier.root() != head.root:
            self.report.add(Verdict.INVALID, "the root differs from the head's")
        elif growth.frontier.hashes != head.frontier:
            self.report.add(Verdict.INVALID, "the frontier differs from the head's")

    def _is_reordered(self) -> bool:
        """Tell whether the order of writing gives the sealed tree; then go on with that one."""
        found = in_order(self._head, self._growth, self._first, self._nodes())
        if found is None:
            return False
        place, self._growth = found
        self.report.add(Verdict.REORDERED, "the entries were sealed in another order", place)
        return True

    def _check_note(self, stored: StoredNote) -> None:
        where = _of(stored)
        try:
            note = parse(stored.note)
            checkpoint = parse_checkpoint(note.text)
        except FormatError as error:
            self.report.add(Verdict.INVALID, f"{where} is malformed: {error}")
            return
        told = (checkpoint.origin, checkpoint.size, checkpoint.root)
        columns = (self._head.origin, stored.size, stored.root)
        if told != columns or stored.tenant_id != self._head.tenant_id:
            self.report.add(Verdict.INVALID, f"{where} differs from its columns")
        pairs = self._ring.verifiers(self._head.origin)
        if not any(signed_by(note, ed) and signed_by(note, ml) for ed, ml in pairs):
            self.report.add(Verdict.UNSIGNED, f"{where} has no good signature of ours")

    def _check_states(self, states: Sequence[tuple[int, bytes, str]]) -> None:
        """Compare the tree with every state of it that was published.

        A good state proves all before it: what differs below is then the statement, not the tree.
        """
        roots = self._growth.roots
        good = [size for size, root, _ in states if roots.get(size) == root]
        is_whole = self._growth.agrees(self._head.root)
        stored = self._growth.frontier.size
        is_older = is_whole and all(size <= stored or by == _IN_FILE for size, _, by in states)
        for size, root, where in sorted(states, key=lambda state: state[0]):
            found = roots.get(size)
            if size < self._first or found == root:
                continue
            if found is None:
                detail = f"{where} knows {size} entries, the log has {stored}"
                self.report.add(Verdict.BEHIND if is_older else Verdict.GAP, detail, stored)
            elif is_whole and size > max(good, default=self._first):
                since = max(good, default=self._first)
                detail = f"{where} has another root at size {size}: rebuilt from {since} or later"
                self.report.add(Verdict.REBUILT, detail, since)
            else:
                self.report.add(Verdict.INVALID, f"{where} has another root at size {size}")

    def _check_withdrawn(self, outside: Sequence[anchored.State], stored: set[int]) -> None:
        """Name what was published and is not stored; a state that the log lacks is told already."""
        for size, root, where in outside:
            is_there = size < self._first or self._growth.roots.get(size) == root
            if is_there and size not in stored:
                stored.add(size)
                detail = f"the checkpoint of size {size} is gone, which {where} holds"
                self.report.add(Verdict.WITHDRAWN, detail)

    def _check_unsealed(self) -> None:
        if self._head.stream == HEADS_STREAM:
            return
        for event in storage.unsealed(self._head.tenant_id, self._head.stream, GRACE):
            self.report.add(Verdict.UNSEALED, f"entry {event} has no place")


def _of(note: StoredNote) -> str:
    return f"the checkpoint of size {note.size}"
