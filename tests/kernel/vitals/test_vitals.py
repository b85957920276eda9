"""Signs of life: memory, slow statements, and the worker's exporter."""

import resource
import threading
import time
import urllib.error
import urllib.request

import pytest
from django.db import DatabaseError, connections
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from kernel import db
from kernel.vitals import background, exporter, memory, slow
from kernel.vitals.background import Background


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def collected():
    return {
        (found.name, *found.labels.values()): found.value
        for family in Background().collect()
        for found in family.samples
    }


def test_memory__noted__is_what_the_kernel_says_of_this_process():
    memory.note()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 10_000_000 < sample("innkeeper_process_resident_bytes") <= peak * 1.1


def test_statement__longer_than_the_limit__is_counted_for_its_role(database, settings):
    settings.INNKEEPER_SLOW_STATEMENT_MS = 20
    before = sample("innkeeper_database_slow_statements_total", alias="staff")
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert sample("innkeeper_database_slow_statements_total", alias="staff") == before
        cursor.execute("SELECT pg_sleep(0.03)")
    assert sample("innkeeper_database_slow_statements_total", alias="staff") == before + 1


def test_statement__slow__is_logged_with_placeholders_and_without_values(
    database, settings, monkeypatch
):
    lines = []
    monkeypatch.setattr(
        slow,
        "_log",
        type("Log", (), {"warning": lambda self, event, **facts: lines.append(facts)})(),
    )
    settings.INNKEEPER_SLOW_STATEMENT_MS = 0
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute("SELECT %s::text\n  AS secret", ["hunter2"])
    assert [line["sql"] for line in lines if "secret" in line["sql"]] == [
        "SELECT %s::text AS secret"
    ]
    assert "hunter2" not in str(lines)


def test_connection__opened_again__is_timed_once(database):
    with db.use_alias("staff"), db.cursor():
        connections["staff"].close()
    with db.use_alias("staff"), db.cursor():
        wrappers = connections["staff"].execute_wrappers
        assert wrappers.count(slow.time_statement) == 1


def test_background__database_answers__tells_outbox_queue_and_services(database):
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO kernel_heartbeat VALUES ('test-vitals', 'test', true, 3, now())"
        )
        try:
            found = collected()
        finally:
            cursor.execute("DELETE FROM kernel_heartbeat WHERE service = 'test-vitals'")
    assert found["innkeeper_database_up",] == 1.0
    assert found["innkeeper_worker_service_alive", "test-vitals"] == 1.0
    assert found["innkeeper_worker_service_restarts", "test-vitals"] == 3.0
    assert found["innkeeper_outbox_oldest_seconds",] >= 0.0
    assert {key[1] for key in found if key[0] == "innkeeper_jobs"} == {"due", "running", "failed"}


def test_background__service_silent_for_long__is_not_listed(database):
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO kernel_heartbeat"
            " VALUES ('test-silent', 'test', true, 0, now() - interval '2 minutes')"
        )
        try:
            assert ("innkeeper_worker_service_alive", "test-silent") not in collected()
        finally:
            cursor.execute("DELETE FROM kernel_heartbeat WHERE service = 'test-silent'")


def test_background__database_gone__says_so_and_nothing_else(database, monkeypatch):
    def gone():
        raise DatabaseError("gone")

    monkeypatch.setattr(background.backlog, "outbox", gone)
    assert collected() == {("innkeeper_database_up",): 0.0}


def test_exporter__until_stopped__answers_scrapes(database, settings, unused_port):
    settings.INNKEEPER_WORKER_METRICS = f"127.0.0.1:{unused_port}"
    url = f"http://127.0.0.1:{unused_port}/metrics"
    stop = threading.Event()
    thread = threading.Thread(target=exporter.run, args=[stop])
    thread.start()
    text = scrape(url)
    stop.set()
    thread.join(timeout=10)
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"innkeeper_database_up", "innkeeper_jobs", "innkeeper_audit_seal_lag_seconds"} <= names
    assert not thread.is_alive()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=1)


def scrape(url):
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback URL
                return answer.read().decode()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # until it listens, bounded by the deadline
