"""The worker: services alive, events delivered, jobs done."""

from kernel import db
from kernel.doctor.findings import Finding, failed, ok, warning
from kernel.jobs.services import BUILT_IN, services
from kernel.jobs.supervisor import HEARTBEAT_S

FRESH_S = 4 * HEARTBEAT_S
LAGGING_S = 60.0
RESTLESS = 5
_HEARTBEATS = """
SELECT service, bool_or(alive), max(restarts)
  FROM kernel_heartbeat
 WHERE at > clock_timestamp() - make_interval(secs => %s) GROUP BY service
"""
_OUTBOX = """
SELECT count(*) FILTER (WHERE dead_at IS NULL),
       coalesce(extract(epoch FROM clock_timestamp() - min(available_at)
                        FILTER (WHERE dead_at IS NULL)), 0)::float8,
       count(*) FILTER (WHERE dead_at IS NOT NULL)
  FROM kernel_outbox WHERE delivered_at IS NULL
"""
_JOBS = """
SELECT count(*) FILTER (WHERE status = 'todo'
                          AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())),
       count(*) FILTER (WHERE status = 'doing'),
       count(*) FILTER (WHERE status = 'failed')
  FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed')
"""
_START = "Start `manage.py worker`; its log says why a service dies."


def heartbeats() -> list[Finding]:
    """Find services that no worker runs, and those that keep dying."""
    with db.cursor() as cursor:
        cursor.execute(_HEARTBEATS, [FRESH_S])
        beating = {name: (alive, restarts) for name, alive, restarts in cursor.fetchall()}
    expected = [*BUILT_IN, *(service.name for service in services.all())]
    silent = [name for name in dict.fromkeys(expected) if name not in beating]
    if len(silent) == len(set(expected)):
        return [failed("heartbeats", "no worker runs", _START)]
    found = [failed("heartbeats", f"nobody runs {name}", _START) for name in silent]
    for name, (alive, restarts) in sorted(beating.items()):
        if not alive:
            found.append(failed("heartbeats", f"{name} is dead, {restarts} restarts", _START))
        elif restarts >= RESTLESS:
            found.append(warning("heartbeats", f"{name} was restarted {restarts} times", _START))
    return found or [ok("heartbeats", f"{len(beating)} services live")]


def outbox() -> list[Finding]:
    """Look how long the oldest due event waits, and for events that were given up."""
    with db.cursor() as cursor:
        cursor.execute(_OUTBOX)
        waiting, oldest, dead = cursor.fetchone()
    found = []
    if oldest > LAGGING_S:
        text = f"{waiting} events wait, the oldest for {oldest:.0f} s"
        found.append(failed("outbox", text, "See `service.*` and `outbox.*` in the worker's log."))
    if dead:
        text = f"{dead} events were given up after their last attempt"
        remedy = "Read last_error in kernel_outbox, mend the cause, and set dead_at to NULL."
        found.append(warning("outbox", text, remedy))
    return found or [ok("outbox", f"{waiting} events wait")]


def jobs() -> list[Finding]:
    """Count jobs due, running and failed for good."""
    with db.cursor() as cursor:
        cursor.execute(_JOBS)
        due, running, buried = cursor.fetchone()
    text = f"{due} due, {running} running, {buried} failed for good"
    if buried:
        return [warning("jobs", text, "See procrastinate_jobs and the worker's log.")]
    return [ok("jobs", text)]
