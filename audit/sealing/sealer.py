"""The sealer: one pass is one transaction; after a crash in it nothing has happened."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from audit import metrics
from audit.sealing import heads, search, state, window
from audit.sealing.leadership import Leadership
from kernel import db
from kernel.tenancy import across_tenants

_ADVANCE_IDLE: Final = 5.0
_log = structlog.get_logger("innkeeper.audit.sealer")


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did: whether we lead, how many entries got places, whether more may wait."""

    leading: bool
    sealed: int = 0
    more: bool = False


class Sealer:
    """Seals the entries of one shard. One thread each; several processes take turns."""

    def __init__(self, shard: int = 0) -> None:
        self._shard = shard
        self._leadership = Leadership(shard)
        self._advanced = 0.0
        self._unindexed: set[UUID] | None = None
        """Logs with words to index; None: not known, as after taking the lead."""

    def lead(self) -> bool:
        """Take the lead, or tell that another sealer has it."""
        with db.use_alias("sealer"):
            return self._leadership.take()

    def run_once(self) -> Pass:
        """Give every committed entry that is found its place; at most one batch.

        Idempotent: unique keys on entry and place turn a second sealer into an error, never into
        two histories.
        """
        with db.use_alias("sealer"), across_tenants():
            if not self._leadership.take():
                self._unindexed = None
                return Pass(leading=False)
            started = time.perf_counter()
            with db.atomic():
                found, grown = self._seal()
            self._measure(found, time.perf_counter() - started)
            has_words = self._index(grown)
        return Pass(leading=True, sealed=len(found.entries), more=found.full or has_words)

    def drain(self) -> int:
        """Run passes until nothing is left to find; return how many entries got places."""
        total = 0
        while True:
            done = self.run_once()
            total += done.sealed
            if not done.more:
                return total

    def release(self) -> None:
        """Step down."""
        with db.use_alias("sealer"):
            self._leadership.release()

    def _index(self, grown: Iterable[UUID]) -> bool:
        """Index the words of what was sealed, in a transaction that no place waits for.

        Returns:
            Whether there is more to index at once; what an erasure holds is for a later pass.
        """
        if self._unindexed is not None:
            self._unindexed.update(grown)
        filled = search.fill(self._unindexed)
        self._unindexed = {*filled.behind, *filled.waiting}
        return bool(filled.behind)

    def _seal(self) -> tuple[window.Window, list[UUID]]:
        position = state.read(self._shard)
        found = window.look(position.low, position.since)
        grown = self._place(found.entries)
        if found.full:
            return found, grown
        if position.reconcile:
            state.reconciled(self._shard, found.xmin)
            _log.warning("cluster.reconciled", low=found.xmin)
        elif found.xmin > position.low and (found.entries or self._idle_long()):
            state.advance(self._shard, found.xmin)
            self._advanced = time.monotonic()
        return found, grown

    def _idle_long(self) -> bool:
        """Other traffic moves the window too; an idle sealer writes that down only now and then."""
        return time.monotonic() - self._advanced > _ADVANCE_IDLE

    @staticmethod
    def _place(entries: list[window.Unsealed]) -> list[UUID]:
        """Give the entries their places; return the logs that grew."""
        if not entries:
            return []
        groups: defaultdict[heads.LogKey, list[heads.Placed]] = defaultdict(list)
        for entry in entries:
            placed = heads.Placed(entry.id, entry.recorded_at, entry.leaf_hash)
            groups[entry.tenant_id, entry.stream].append(placed)
        locked = heads.lock(groups)
        heads.extend_all([(head, groups[key]) for key, head in locked.items()])
        return [head.log_id for head in locked.values()]

    @staticmethod
    def _measure(found: window.Window, seconds: float) -> None:
        metrics.pass_seconds.observe(seconds)
        if found.entries:
            now = datetime.now(UTC)
            metrics.sealed.inc(len(found.entries))
            metrics.lag_seconds.observe((now - found.entries[0].recorded_at).total_seconds())
