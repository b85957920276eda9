"""The worker: services alive, events delivered, jobs done."""

from kernel.doctor.findings import Finding, failed, ok, warning
from kernel.jobs.services import BUILT_IN, HEARTBEAT_S, services
from kernel.vitals import backlog

FRESH_S = 4 * HEARTBEAT_S
LAGGING_S = 60.0
RESTLESS = 5
_START = "Start `manage.py worker`; its log says why a service dies."


def heartbeats() -> list[Finding]:
    """Find services that no worker runs, and those that keep dying."""
    beating = {beat.service: beat for beat in backlog.beats(FRESH_S)}
    expected = [*BUILT_IN, *(service.name for service in services.all())]
    silent = [name for name in dict.fromkeys(expected) if name not in beating]
    if len(silent) == len(set(expected)):
        return [failed("heartbeats", "no worker runs", _START)]
    found = [failed("heartbeats", f"nobody runs {name}", _START) for name in silent]
    for name, beat in beating.items():
        if not beat.alive:
            found.append(failed("heartbeats", f"{name} is dead, {beat.restarts} restarts", _START))
        elif beat.restarts >= RESTLESS:
            text = f"{name} was restarted {beat.restarts} times"
            found.append(warning("heartbeats", text, _START))
    return found or [ok("heartbeats", f"{len(beating)} services live")]


def outbox() -> list[Finding]:
    """Look how long the oldest due event waits, and for events that were given up."""
    state = backlog.outbox()
    found = []
    if state.oldest_s > LAGGING_S:
        text = f"{state.waiting} events wait, the oldest for {state.oldest_s:.0f} s"
        found.append(failed("outbox", text, "See `service.*` and `outbox.*` in the worker's log."))
    if state.dead:
        text = f"{state.dead} events were given up after their last attempt"
        remedy = "Read last_error in kernel_outbox, mend the cause, and set dead_at to NULL."
        found.append(warning("outbox", text, remedy))
    return found or [ok("outbox", f"{state.waiting} events wait")]


def jobs() -> list[Finding]:
    """Count jobs due, running and failed for good."""
    state = backlog.queue()
    text = f"{state.due} due, {state.running} running, {state.failed} failed for good"
    if state.failed:
        return [warning("jobs", text, "See procrastinate_jobs and the worker's log.")]
    return [ok("jobs", text)]
