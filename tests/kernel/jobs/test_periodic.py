"""Periodic jobs: their own attempts, also when a worker died with them."""

import asyncio

import pytest
from procrastinate import jobs as queued_jobs

from kernel import db, tenancy
from kernel.jobs import engine, job


@job("test.nightly", max_attempts=2, cron="0 3 * * *")
def nightly():
    raise ValueError("never")


@pytest.fixture(autouse=True)
def staff(database):
    with db.use_alias("staff"), tenancy.across_tenants():
        execute("DELETE FROM procrastinate_jobs")
        yield
        execute("DELETE FROM procrastinate_jobs")


def execute(sql, *values):
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else None


def stalled(attempts):
    """Leave a tick as a killed worker leaves it; reap; give its status."""
    execute(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, args, status, attempts)"
        " VALUES ('kernel.periodic.test.nightly', 'default', '{\"timestamp\": 1}', 'doing', %s)",
        attempts,
    )

    async def reap():
        own = engine._own_app()
        async with own.open_async():
            await engine.reap_once(own.job_manager)

    asyncio.run(reap())
    [(status,)] = execute("SELECT status::text FROM procrastinate_jobs")
    return status


def test_reaper__periodic_job_lost_once__goes_back():
    assert stalled(attempts=0) == "todo"


def test_reaper__periodic_job_lost_too_often__is_buried():
    assert stalled(attempts=1) == "failed"


@pytest.mark.parametrize(("attempts", "again"), [(0, True), (1, False)])
def test_backoff__periodic_job_fails__is_tried_as_often_as_declared(attempts, again):
    tick = queued_jobs.Job(
        id=1,
        queue="default",
        lock=None,
        queueing_lock=None,
        task_name="kernel.periodic.test.nightly",
        task_kwargs={"timestamp": 1},
        attempts=attempts,
    )
    decision = engine.Backoff().get_retry_decision(exception=ValueError(), job=tick)
    assert (decision is not None) is again
