"""The supervisor: services live, die, come back and end."""

import threading

import pytest

from kernel import db
from kernel.jobs import supervisor as module
from kernel.jobs.services import Service, Services, every
from kernel.jobs.supervisor import Supervisor
from tests.waiting import until


@pytest.fixture(autouse=True)
def quick(database, monkeypatch):
    monkeypatch.setattr(module, "TICK_S", 0.01)
    monkeypatch.setattr(module, "PAUSE_FIRST_S", 0.01)
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.0)


def run_until(supervisor, condition):
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        until("the services stand so", condition)
    finally:
        supervisor.stop()
        thread.join()


def heartbeats(supervisor):
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute(
            "SELECT service, alive, restarts FROM kernel_heartbeat WHERE process = %s",
            [supervisor._process],
        )
        return {name: (alive, restarts) for name, alive, restarts in cursor.fetchall()}


def test_service__dies_twice__is_started_again_and_the_others_do_not_notice():
    lives, steady = [], []

    def mortal(stop):
        lives.append(1)
        if len(lives) < 3:
            raise ValueError("dead")
        stop.wait()

    def healthy(stop):
        steady.append(1)
        stop.wait()

    supervisor = Supervisor([Service("mortal", mortal), Service("healthy", healthy)])
    run_until(supervisor, lambda: len(lives) == 3)
    assert steady == [1]


def test_service__returns_early__counts_as_a_death():
    lives = []
    supervisor = Supervisor([Service("brief", lambda stop: lives.append(1))])
    run_until(supervisor, lambda: len(lives) >= 2)


def test_heartbeat__while_running__tells_life_and_restarts_and_goes_at_the_end():
    supervisor = Supervisor([Service("steady", lambda stop: stop.wait())])
    seen = {}

    def beaten():
        seen.update(heartbeats(supervisor))
        return seen.get("steady") == (True, 0)

    run_until(supervisor, beaten)
    assert heartbeats(supervisor) == {}


def test_stop__service_that_does_not_end__is_reported(monkeypatch):
    monkeypatch.setattr(module, "STOP_S", 0.05)
    release = threading.Event()
    supervisor = Supervisor([Service("stubborn", lambda stop: release.wait())])
    result = []
    thread = threading.Thread(target=lambda: result.append(supervisor.run()))
    thread.start()
    until("the service has started", lambda: supervisor._running[0].alive)
    supervisor.stop()
    thread.join()
    release.set()
    assert result == [False]


def test_services__registered_twice__refused():
    services = Services()
    services.register("x", lambda stop: None)
    with pytest.raises(ValueError, match="twice"):
        services.register("x", lambda stop: None)


def test_every__until_stopped__repeats():
    stop, done = threading.Event(), []

    def work():
        done.append(1)
        if len(done) == 3:
            stop.set()

    every(0.0, work)(stop)
    assert len(done) == 3
