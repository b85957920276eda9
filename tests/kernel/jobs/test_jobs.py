"""Jobs: asked for in a transaction, moved once, run at least once, buried in the end."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from kernel import db, tenancy
from kernel.events.registry import Registry
from kernel.events.relay import Relay
from kernel.ids import new_id
from kernel.jobs import UnknownJobError, engine, enqueue, job, queue
from kernel.jobs.queue import JobRequested

ran: list[tuple] = []


@job("test.note", max_attempts=3)
def note(what, fail=False):
    ran.append((what, db.alias(), isinstance(tenancy.context.scope(), tenancy.context.AllTenants)))
    if fail:
        raise ValueError("as asked")


@pytest.fixture(autouse=True)
def staff(database):
    ran.clear()
    with db.use_alias("staff"), tenancy.across_tenants():
        with db.cursor() as cursor:
            cursor.execute("DELETE FROM procrastinate_jobs")
            cursor.execute("UPDATE kernel_outbox SET delivered_at = now()")
        yield


@pytest.fixture
def relay():
    registry = Registry()
    registry.subscribe(JobRequested.name, "queue", engine.move)
    return Relay(registry)


def queued():
    with db.cursor() as cursor:
        cursor.execute("SELECT task_name, status, attempts FROM procrastinate_jobs ORDER BY id")
        return cursor.fetchall()


def work_once():
    """Run what is queued and return when nothing is left to do."""

    async def work():
        own = engine._own_app()
        async with own.open_async():
            await own.run_worker_async(
                wait=False, install_signal_handlers=False, listen_notify=False
            )

    asyncio.run(work())


def test_enqueue__rolled_back__never_queued(relay):
    with pytest.raises(ZeroDivisionError), db.atomic():
        enqueue(note, what="x")
        raise ZeroDivisionError
    relay.run_once()
    assert queued() == []


def test_enqueue__committed__moved_once_and_run_as_staff(relay):
    with db.atomic():
        enqueue(note, what="x")
    relay.run_once()
    relay.run_once()
    assert queued() == [("kernel.run", "todo", 0)]
    work_once()
    assert ran == [("x", "staff", True)]
    assert queued() == [("kernel.run", "succeeded", 1)]


def test_enqueue__by_a_request_of_a_tenant__is_moved_and_run_as_staff(relay):
    with db.use_alias("default"), tenancy.tenant_context(new_id()), db.atomic():
        enqueue(note, what="x")
    relay.run_once()
    work_once()
    assert ran == [("x", "staff", True)]


def test_job__fails__is_tried_again_later_and_fails_for_good_in_the_end(relay, monkeypatch):
    monkeypatch.setattr(engine, "backoff_s", lambda attempt: 0)
    with db.atomic():
        enqueue(note, what="x", fail=True)
    relay.run_once()
    for _ in range(4):
        work_once()
    assert len(ran) == 3
    assert [status for _, status, _ in queued()] == ["failed"]


def test_enqueue__argument_is_no_json__refused():
    with pytest.raises(TypeError), db.atomic():
        enqueue(note, what=object())


def test_run_job__unknown__says_so():
    with pytest.raises(UnknownJobError):
        engine.run_job("test.never", "{}")


def test_declare__twice__refused():
    with pytest.raises(ValueError, match="twice"):
        job("test.note")(lambda: None)
    assert queue.named("test.note") is note


def stall(attempts):
    """Leave a job as a worker leaves it that was killed."""
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (task_name, queue_name, args, status, attempts)"
            ' VALUES (\'kernel.run\', \'default\', \'{"job": "test.note", "arguments": "{}"}\','
            " 'doing', %s)",
            [attempts],
        )


def reap():
    async def work():
        own = engine._own_app()
        async with own.open_async():
            return await engine.reap_once(own.job_manager)

    return asyncio.run(work())


def test_reaper__worker_died__job_goes_back():
    stall(attempts=0)
    assert reap() == 1
    assert [status for _, status, _ in queued()] == ["todo"]


def test_reaper__job_that_kills_workers__is_buried():
    stall(attempts=2)
    assert reap() == 1
    assert [status for _, status, _ in queued()] == ["failed"]


def test_web__process__imports_no_worker():
    code = (
        "import sys; import config.wsgi;"
        " print(sorted(m for m in sys.modules if m.startswith(('kernel.jobs.engine',"
        " 'kernel.jobs.supervisor'))))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"


def test_worker_command__sigterm__ends_in_time_with_status_0():
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "manage.py", "worker"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    wanted = {"outbox", "jobs", "reaper", "purge", "audit-sealer", "usage-spool"}
    names: set[str] = set()
    while not wanted <= names and time.monotonic() < deadline:
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT service FROM kernel_heartbeat WHERE alive AND process LIKE %s",
                [f"%:{process.pid}"],
            )
            names = {row[0] for row in cursor.fetchall()}
        time.sleep(0.1)  # polls the heartbeats, bounded by the deadline
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert wanted <= names
