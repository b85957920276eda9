"""Health: what each probe says, and that it says the truth."""

import threading

import psycopg
import pytest
from django.test import Client

from kernel import health
from kernel.health import Watcher
from tests.waiting import until


@pytest.fixture
def watcher(database, monkeypatch):
    fresh = Watcher()
    monkeypatch.setattr(health, "watcher", fresh)
    yield fresh
    fresh._drop()


def test_livez__no_database__still_answers(watcher, monkeypatch):
    monkeypatch.setattr(watcher, "look", lambda: pytest.fail("livez looked"))
    answer = Client().get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz__everything_there__200_with_checks(watcher):
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "outbox": "ok", "disk": "ok"},
    }


def test_readyz__database_gone_and_back__tells_both(watcher, monkeypatch):
    monkeypatch.setattr(health, "conninfo", lambda alias: "host=/nonexistent dbname=x user=x")
    monkeypatch.setattr(health, "REFRESH_S", 0.0)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["checks"]["database"] == "OperationalError"
    assert Client().get("/health").status_code == 200
    monkeypatch.undo()
    assert watcher.look().ready


def test_readyz__connection_killed__reconnects(watcher):
    assert watcher.look().ready
    pid = watcher._connection.info.backend_pid
    with psycopg.connect(health.conninfo("staff"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    watcher.look()
    assert watcher.look().ready


def test_readyz__migration_missing__503(watcher, monkeypatch):
    monkeypatch.setattr(health, "_migrations", lambda: {("kernel", "9999_future")})
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"] == "1 not applied"


def test_readyz__disk_full__503(watcher, monkeypatch):
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 2**62)
    assert Client().get("/readyz").status_code == 503


def test_readyz__database_hangs__is_unready_until_it_answers(watcher, monkeypatch):
    hanging = threading.Event()
    monkeypatch.setattr(watcher, "_ask", lambda checks: None)
    watcher.start()
    until("the thread has looked", lambda: watcher._state.ready)
    monkeypatch.setattr(watcher, "_ask", lambda checks: hanging.wait(60))
    until("its word is too old", lambda: not watcher.state().ready)
    told = watcher.state()
    hanging.set()
    until("it answers again", lambda: watcher.state().ready)
    watcher.stop()

    assert told.checks["watcher"] == "stale"
    assert health.STALE_S <= 2  # what docs/operations.md promises


def test_readyz__watcher_died__is_not_believed(watcher, monkeypatch):
    watcher.look()
    watcher._thread = object()
    monkeypatch.setattr(health.time, "monotonic", lambda: watcher._state.at + 10)
    assert watcher.state().checks["watcher"] == "stale"
    assert not watcher.state().ready


def test_health__anyone__version_uptime_checks(watcher):
    body = Client().get("/health").json()
    assert body["status"] == "ok"
    assert body["version"] == "0.1.0"
    assert body["uptime_s"] >= 0
