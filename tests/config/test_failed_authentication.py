"""Wrong keys over real HTTP: 401 up to the limit of the address, then 429; valid keys pass."""

import http.client
import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.db import connections
from django.utils.module_loading import import_string

from kernel.gate.keys import TENANT, mint
from kernel.gate.wire import hot
from tests.guests import new_guest

LIMIT = 3
MOST_TRIES = 60


class Quiet(WSGIRequestHandler):
    """Serves without a log of its own."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(database, settings) -> Iterator[int]:
    """The port of the whole application, served over a socket by one thread."""
    settings.INNKEEPER_FAILED_AUTH_PER_MINUTE = LIMIT
    application = import_string("config.wsgi.application")
    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)

    def serve() -> None:
        try:
            server.serve_forever(poll_interval=0.05)
        finally:
            hot().close()
            for connection in connections.all(initialized_only=True):
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def get(port: int, key: str, source: str, path: str = "/api/v1/me") -> tuple[int, str | None]:
    """Ask from another address of the loopback network; give status and Retry-After."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    try:
        link.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = link.getresponse()
        answer.read()
        return answer.status, answer.headers["Retry-After"]
    finally:
        link.close()


def until_refused(port: int, source: str) -> list[tuple[int, str | None]]:
    """Send keys that nobody has until one is answered 429; a slow machine may need more."""
    answers = []
    for _ in range(MOST_TRIES):
        answers.append(get(port, mint(TENANT).text, source))
        if answers[-1][0] == 429:
            break
    return answers


def test_wrong_keys__beyond_the_limit__are_429_and_a_valid_key_passes(port):
    guest = new_guest()
    answers = until_refused(port, "127.0.13.1")
    assert [status for status, _ in answers[:LIMIT]] == [401] * LIMIT
    assert {status for status, _ in answers[:-1]} == {401}
    status, retry_after = answers[-1]
    assert status == 429
    assert 1 <= int(retry_after or 0) <= 60
    assert get(port, guest.key, "127.0.13.1") == (200, None)


def test_wrong_keys__of_another_address__leave_this_one_alone(port):
    assert until_refused(port, "127.0.13.2")[-1][0] == 429
    assert get(port, mint(TENANT).text, "127.0.13.3")[0] == 401


def test_malformed_keys__as_many_as_one_likes__are_401(port):
    statuses = {get(port, "ikt_live_nonsense", "127.0.13.4")[0] for _ in range(LIMIT + 3)}
    assert statuses == {401}
