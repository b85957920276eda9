"""Two lanes over the same cases: the fast one of every run, and `LATENCY_LANE=proof`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from django.db import connections
from django.urls import get_resolver
from django.utils.module_loading import import_string

from bench.latency.calls import Application
from bench.latency.counts import Counter
from bench.latency.routes import Route, routes
from bench.machine import python_sample
from kernel import db
from kernel.gate.turns import turns
from kernel.gate.wire import hot
from kernel.postgres import Role
from tests.database import SessionDatabase
from tests.latency.world import World

DURABLE = ("fsync = on", "full_page_writes = on", "synchronous_commit = on")


@dataclass(frozen=True, slots=True)
class Lane:
    """How often each case is measured; staff pages are slower by far and get fewer rounds."""

    name: str
    rounds: int
    staff_rounds: int
    warm_up: int
    must_pass: bool
    attempts: int


LANES = {
    "fast": Lane("fast", rounds=60, staff_rounds=8, warm_up=2, must_pass=False, attempts=1),
    "proof": Lane("proof", rounds=500, staff_rounds=100, warm_up=20, must_pass=True, attempts=3),
}


@pytest.fixture(scope="session")
def lane() -> Lane:
    """The lane of this run."""
    return LANES[os.environ.get("LATENCY_LANE", "fast")]


@pytest.fixture(scope="session")
def application(session_database: SessionDatabase) -> Application:
    """The application with its full middleware, as the server runs it; its probes start with it."""
    session_database.ensure()
    with warnings.catch_warnings():
        # Whitenoise looks for collected files, which no test needs.
        warnings.filterwarnings("ignore", "No directory at", UserWarning)
        found: Application = import_string("config.wsgi.application")
    return found


@pytest.fixture(scope="session")
def url_map() -> list[Route]:
    """Every route and method of the system, the admin's included."""
    return routes(get_resolver().url_patterns)


@pytest.fixture(scope="session")
def superuser(session_database: SessionDatabase) -> Iterator[psycopg.Connection]:
    """The cluster's superuser, in another database than the tests'."""
    session_database.ensure()
    host = connections.settings["default"]["HOST"]
    dsn = f"host={host} port=5432 dbname=postgres user={Role.BOOTSTRAP}"
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute("SET client_min_messages = warning")
        link.execute("CREATE SCHEMA IF NOT EXISTS monitoring")
        link.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA monitoring")
        yield link


@pytest.fixture(scope="session")
def world(application: Application, superuser: psycopg.Connection, lane: Lane) -> World:
    """The data that cases work on; the proof lane waits for the disk as production does."""
    if lane.must_pass:
        for setting in DURABLE:
            superuser.execute(f"ALTER SYSTEM SET {setting}")
        superuser.execute("SELECT pg_reload_conf()")
    return World(application)


@pytest.fixture(autouse=True)
def delivered_outbox(world: World) -> None:
    """Deliver events as a relay would: a suite runs none, and readiness tells when events wait."""
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute(
            "UPDATE kernel_outbox SET delivered_at = now()"
            " WHERE delivered_at IS NULL AND dead_at IS NULL"
        )


@pytest.fixture(scope="session")
def counter(superuser: psycopg.Connection) -> Counter:
    """Counts statements of the tests' database, read from another one."""
    name = connections.settings["default"]["NAME"]
    return Counter(superuser, name, lambda: hot().calls + turns.calls)


@pytest.fixture(scope="session")
def calibrate(superuser: psycopg.Connection) -> Callable[[], float]:
    """A fixed piece of work: pure Python, a round trip, and a commit of one row."""
    superuser.execute("CREATE TABLE IF NOT EXISTS calibration (at timestamptz)")

    def sample() -> float:
        spent = python_sample()
        started = time.perf_counter()
        superuser.execute("SELECT 1")
        superuser.execute("INSERT INTO calibration VALUES (now())")
        return spent + (time.perf_counter() - started) * 1000

    return sample
