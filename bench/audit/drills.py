"""Drills: the sealer is killed at every step, doubled and starved; then every entry is accounted.

Each runs real processes: forked, so that a drill of twenty kills takes seconds.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connections, transaction

from audit.jobs import SealerLoop
from audit.sealing import anchors, heads, search, state, window
from audit.sealing.sealer import Sealer
from audit.services import audited
from audit.services.buffer import write
from audit.verification.run import verify
from bench.audit import children
from bench.audit.entries import CONTEXT, entry, say, spread
from kernel import db
from kernel.tenancy import across_tenants, tenant_context

STEPS: Final = {
    "read": (state, "read"),
    "look": (window, "look"),
    "lock": (heads, "lock"),
    "copy": (heads, "_copy"),
    "move": (heads, "_move"),
    "extend": (heads, "extend_all"),
    "advance": (state, "advance"),
    "index": (search, "fill"),  # before it: the places are committed, the words are not
    "anchor": (anchors, "keep"),  # before it: the note is stored and not anchored
}
_WRITER_PROCESSES: Final = 4
_IDLE: Final = "SET LOCAL idle_in_transaction_session_timeout = 0"


def killed(count: int) -> dict[str, Any]:
    """Kill the sealer at every step, then so many times (default 100) at random moments."""
    return kill(list(STEPS), count or 100)


def kill(steps: Sequence[str], count: int) -> dict[str, Any]:
    """Kill the sealer before and after each step, then so many times at random moments.

    Returns what became of the committed entries; raises where the accounts do not balance.
    """
    tenants, committed, deaths = [uuid4(), uuid4()], [], 0
    for step in steps:
        for is_before in (True, False):
            committed += children.run(partial(_write, tenants, 20))
            status = children.start(partial(_seal_until_killed, step, is_before=is_before)).wait()
            if status != -signal.SIGKILL:
                raise RuntimeError(f"the sealer passed the step {step} alive: {status}")
            deaths += 1
    for _ in range(count):
        writer = children.start(partial(_write, tenants, 40))
        victim = children.start(_seal_for_ever)
        time.sleep(random.uniform(0.001, 0.25))  # noqa: S311 - a moment, no secret
        victim.kill()
        committed += writer.result()
        deaths += 1
    return {"killed": deaths, **children.run(partial(_account, tenants, committed))}


def storm(count: int) -> dict[str, Any]:
    """Run :func:`meet` in full: an idle writer of so many seconds (default 60)."""
    return meet(count or 60, rounds=40, probes=20)


def meet(seconds: int, *, rounds: int, probes: int) -> dict[str, Any]:
    """Let 32 writers with savepoints, roll-backs and sleeps meet two sealers and an idle writer.

    The idle one has written an entry and commits it only after so many seconds, and not
    before others' entries were sealed meanwhile. Their lag is told.
    """
    tenants, late, watched = [uuid4(), uuid4()], uuid4(), uuid4()
    with ExitStack() as ends:
        for _ in range(2):
            ends.callback(children.start(_seal_for_ever).kill)
        open_reading, open_writing = os.pipe()
        idle = children.start(partial(_idle, late, open_reading, seconds))
        writers = [
            children.start(partial(_storm, tenants, part, rounds))
            for part in range(_WRITER_PROCESSES)
        ]
        seen: dict[str, Any] = children.run(partial(_probe, watched, probes, seconds))
        os.write(open_writing, b".")
        committed: dict[str, list[str]] = {str(late): idle.result(), str(watched): seen["events"]}
        committed |= {str(tenant): [] for tenant in tenants}
        for one in writers:
            for tenant, events in one.result().items():
                committed[tenant] += events
        every = [event for events in committed.values() for event in events]
        found = children.run(partial(_account, [*tenants, late, watched], every, drain=False))
    return {"idle_seconds": seen["seconds"], "others_lag": spread(seen["lags"]), **found}


def _write(tenants: Sequence[UUID], count: int) -> list[str]:
    """Commit entries one by one, the tenants in turn."""
    done: list[str] = []
    for number in range(count):
        with tenant_context(tenants[number % len(tenants)]), audited():
            event = say(number)
        done.append(str(event))
    return done


def _seal_for_ever() -> None:
    loop = SealerLoop()
    while True:
        loop.step()
        time.sleep(0.01)


def _seal_until_killed(step: str, *, is_before: bool) -> None:
    """Seal as the worker does; die at the step, which is to be reached within a minute."""
    place: Any = STEPS[step][0]
    original: Callable[..., Any] = getattr(*STEPS[step])

    def die(*arguments: Any, **named: Any) -> None:
        if not is_before:
            original(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, STEPS[step][1], die)
    loop, deadline = SealerLoop(), time.monotonic() + 60
    while time.monotonic() < deadline:
        loop.step()
        time.sleep(0.01)


def _idle(tenant: UUID, gate: int, seconds: int) -> list[str]:
    """Write an entry and hold its transaction open: for some seconds, and until told."""
    written = entry(tenant, 1, CONTEXT)
    started = time.monotonic()
    with tenant_context(tenant), db.atomic():
        with db.cursor() as cursor:
            cursor.execute(_IDLE)
        write([written])
        os.read(gate, 1)
        time.sleep(max(0.0, started + seconds - time.monotonic()))
    return [str(written.id)]


def _probe(tenant: UUID, probes: int, seconds: int) -> dict[str, Any]:
    """Commit entries one after the other, each when its forerunner is sealed; tell the lags."""
    lags: list[float] = []
    events: list[str] = []
    started = time.monotonic()
    while len(lags) < probes or time.monotonic() < started + seconds:
        events += _write([tenant], 1)
        since = time.monotonic()
        children.eventually(partial(_are_sealed, [tenant], len(events)))
        lags.append((time.monotonic() - since) * 1000)
    return {"events": events, "lags": lags, "seconds": round(time.monotonic() - started, 1)}


def _storm(tenants: Sequence[UUID], part: int, rounds: int) -> dict[str, list[str]]:
    """Be eight writers."""
    done: dict[str, list[str]] = {str(tenant): [] for tenant in tenants}
    threads = [
        threading.Thread(target=_writer, args=(tenants[seed % 2], seed, rounds, done))
        for seed in range(part * 8, part * 8 + 8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def _writer(tenant: UUID, seed: int, rounds: int, done: dict[str, list[str]]) -> None:
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice
    for _ in range(rounds):
        mine: list[str] = []
        try:
            with tenant_context(tenant), audited():
                for number in range(chance.randint(1, 3)):
                    mine.append(str(say(number)))
                    time.sleep(chance.random() * 0.01)
                mine += _in_savepoint(chance)
                if chance.random() < 0.3:
                    raise InterruptedError  # noqa: TRY301 - the roll-back of the drill
        except InterruptedError:
            continue
        done[str(tenant)] += mine
    connections.close_all()


def _in_savepoint(chance: random.Random) -> list[str]:
    """Record one entry in a savepoint that is rolled back half the time."""
    try:
        with transaction.atomic(using=db.alias()):
            event = say(7)
            if chance.random() < 0.5:
                raise RuntimeError  # noqa: TRY301 - the roll-back of the drill
    except RuntimeError:
        return []
    return [str(event)]


def _sealed(tenants: Sequence[UUID]) -> list[tuple[UUID, int, str]]:
    with db.use_alias("staff"), across_tenants(), db.cursor() as cursor:
        cursor.execute(
            "SELECT log_id, leaf_index, event_id::text FROM audit_leaf WHERE tenant_id = ANY (%s) "
            "ORDER BY log_id, leaf_index",
            [list(tenants)],
        )
        return list(cursor.fetchall())


def _are_sealed(tenants: Sequence[UUID], count: int) -> bool:
    return len(_sealed(tenants)) >= count


def _account(
    tenants: Sequence[UUID], committed: Sequence[str], *, drain: bool = True
) -> dict[str, Any]:
    """Hold the places against what was committed, and verify the logs.

    Raises:
        RuntimeError: an entry is missing, doubled, without a commit, or a log is not intact.
    """
    if drain:
        sealer = Sealer()
        children.eventually(sealer.lead)
        sealer.drain()
        sealer.release()
    else:
        children.eventually(partial(_are_sealed, tenants, len(committed)))
    places = _sealed(tenants)
    logs: dict[UUID, list[int]] = {}
    for log_id, index, _ in places:
        logs.setdefault(log_id, []).append(index)
    if sorted(event for _, _, event in places) != sorted(committed):
        raise RuntimeError(f"{len(committed)} entries committed, {len(places)} others sealed")
    if any(indexes != list(range(len(indexes))) for indexes in logs.values()):
        raise RuntimeError("places are not dense")
    reports = [report for tenant in tenants for report in verify(tenant).logs]
    if not all(report.valid for report in reports):
        raise RuntimeError(f"not intact: {[report.findings for report in reports]}")
    return {"committed": len(committed), "sealed": len(places), "logs": len(logs), "valid": True}
