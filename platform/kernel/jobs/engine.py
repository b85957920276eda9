"""procrastinate behind :mod:`kernel.jobs`. Imported by workers only: it costs a third of a second.

One task carries every job by name, so that another engine can take its place. The relay's handler
defers on Django's staff connection: the job and the mark that it was moved commit together.
"""

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import cast

import orjson
import structlog
from django.db import connections
from procrastinate import App, BaseRetryStrategy, RetryDecision
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from kernel.acting import as_system
from kernel.events.registry import Delivery
from kernel.events.relay import backoff_s
from kernel.jobs import queue

STALLED_S = 30
REAP_EVERY_S = 10.0
PURGE_EVERY_S = 3600.0
KEEP_SUCCEEDED_H = 24
POLL_S = 1.0
_PERIODIC = "kernel.periodic."
_log = structlog.get_logger("innkeeper.jobs")


class Backoff(BaseRetryStrategy):
    """Exponential pauses with full jitter, up to the job's own number of attempts."""

    def get_retry_decision(
        self, *, exception: BaseException, job: QueuedJob
    ) -> RetryDecision | None:
        """Say when to try again; None to give up."""
        wanted = _declared(job)
        if job.attempts + 1 >= wanted.max_attempts:
            return None
        return RetryDecision(retry_in={"seconds": round(backoff_s(job.attempts + 1))})


@app.task(name="kernel.run", retry=Backoff())
def run_task(*, job: str, arguments: str) -> None:
    """Run one job as staff, across tenants."""
    run_job(job, arguments)


def run_job(job: str, arguments: str) -> None:
    """Call a declared job with its arguments.

    Raises:
        kernel.jobs.UnknownJobError: no such job: an older or newer release asked for it.
    """
    try:
        with as_system():
            queue.named(job).function(**orjson.loads(arguments))
    finally:
        connections.close_all()


def move(delivery: Delivery) -> None:
    """Move a requested job from the outbox into the queue; a subscriber of ``job.requested``."""
    app.configure_task("kernel.run", allow_unknown=False).defer(
        job=delivery.payload["job"], arguments=delivery.payload["arguments"]
    )


def run_worker(stop: threading.Event) -> None:
    """Run queued jobs, one at a time, until told to stop."""
    asyncio.run(_work(stop))


def run_reaper(stop: threading.Event) -> None:
    """Put jobs of dead workers back, or bury them after their last attempt."""
    asyncio.run(_reap(stop))


def schedule() -> None:
    """Let the queue run every declared job that has a cron expression; each tick runs once."""
    for declared in queue.declared():
        if declared.cron is not None:
            _schedule(declared)


def _schedule(declared: queue.Job) -> None:
    def tick(timestamp: int) -> None:
        run_job(declared.name, "{}")

    task = app.task(name=_PERIODIC + declared.name, retry=Backoff())(tick)
    app.periodic(cron=declared.cron or "", periodic_id=declared.name)(task)


async def _work(stop: threading.Event) -> None:
    own = _own_app()
    async with own.open_async():
        worker = asyncio.create_task(
            own.run_worker_async(
                concurrency=1,
                install_signal_handlers=False,
                listen_notify=False,
                fetch_job_polling_interval=POLL_S,
                shutdown_graceful_timeout=8,
                delete_jobs="never",
            )
        )
        while not stop.is_set() and not worker.done():
            await asyncio.sleep(0.2)
        if not worker.done():
            worker.cancel()
        await asyncio.gather(worker, return_exceptions=stop.is_set())


async def _reap(stop: threading.Event) -> None:
    own = _own_app()
    purge_due = 0.0
    async with own.open_async():
        while not stop.is_set():
            await reap_once(own.job_manager)
            if time.monotonic() >= purge_due:
                # Seldom: it sorts the whole history of the queue.
                await own.job_manager.delete_old_jobs(KEEP_SUCCEEDED_H)
                purge_due = time.monotonic() + PURGE_EVERY_S
            await asyncio.to_thread(stop.wait, REAP_EVERY_S)


def _own_app() -> App:
    """Give an app of this event loop: the shared one defers on Django's connection."""
    connector = cast("DjangoConnector", app.connector).get_worker_connector()
    return app.with_connector(connector)


async def reap_once(manager: JobManager) -> int:
    """Put back or bury every stalled job; give their number."""
    stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_S))
    for found in stalled:
        try:
            most = _declared(found).max_attempts
        except queue.UnknownJobError:
            most = 1
        if found.attempts + 1 >= most:
            _log.error("job.buried", job=_name(found), attempts=found.attempts + 1)
            await manager.finish_job(found, Status.FAILED, delete_job=False)
        else:
            _log.warning("job.reaped", job=_name(found))
            await manager.retry_job(found, retry_at=datetime.now(UTC))
    return len(stalled)


def _declared(queued: QueuedJob) -> queue.Job:
    return queue.named(_name(queued))


def _name(queued: QueuedJob) -> str:
    if queued.task_name.startswith(_PERIODIC):
        return queued.task_name.removeprefix(_PERIODIC)
    return str(queued.task_kwargs.get("job"))
