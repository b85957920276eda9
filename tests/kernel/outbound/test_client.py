"""Calls out against real servers: pinned, bounded, verified, without redirects."""

import socket
import threading
from pathlib import Path

import pytest
import time_machine
from standardwebhooks import Webhook, WebhookVerificationError

from kernel.outbound import Fault, OutboundError, parse, request
from kernel.outbound.signatures import new_secret, signed
from tests.receivers import http_receiver, raw_receiver, tls, write_authority

SCHEMES = ("http", "https")


@pytest.fixture(autouse=True)
def _loopback_opened(settings: object, tmp_path: Path) -> None:
    settings.INNKEEPER_OUTBOUND_TARGETS = ["127.0.0.0/8", "::1/128"]
    settings.INNKEEPER_OUTBOUND_CA = write_authority(tmp_path)


def fault_of(url: str, **facts: object) -> Fault:
    with pytest.raises(OutboundError) as raised:
        request(parse(url, SCHEMES), **facts)
    return raised.value.fault


def test_request__over_tls__proves_the_name_and_names_host_and_port() -> None:
    with http_receiver(context=tls()) as receiver:
        answer = request(
            parse(receiver.url + "/in?a=1", SCHEMES), body=b"x", headers={"X-One": "1"}
        )
    assert (answer.status, answer.body, answer.succeeded) == (200, b"ok", True)
    (received,) = receiver.requests
    assert (received.method, received.path, received.body) == ("POST", "/in?a=1", b"x")
    assert received.headers["host"] == f"localhost:{receiver.port}"
    assert received.headers["user-agent"] == "Innkeeper/1"
    assert received.headers["x-one"] == "1"
    assert "x-forwarded-for" not in received.headers


def test_request__proxy_in_the_environment__is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with http_receiver(context=tls()) as receiver:
        assert request(parse(receiver.url, SCHEMES)).status == 200


def test_request__certificate_of_another_name_or_authority__is_refused(
    settings: object,
) -> None:
    with http_receiver(context=tls("elsewhere.example")) as receiver:
        assert fault_of(receiver.url) is Fault.TLS
    settings.INNKEEPER_OUTBOUND_CA = ""
    with http_receiver(context=tls()) as receiver:
        assert fault_of(receiver.url) is Fault.TLS
    assert receiver.requests == []


def test_request__to_an_address_that_was_closed__reaches_nobody(settings: object) -> None:
    with http_receiver() as receiver:
        target = parse(receiver.url, SCHEMES)
        settings.INNKEEPER_OUTBOUND_TARGETS = []
        with pytest.raises(OutboundError) as refused:
            request(target)
    assert refused.value.fault is Fault.ADDRESS_REFUSED
    assert receiver.requests == []


def test_request__name_that_changes_after_the_look__is_dialled_where_it_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, dialled = socket.create_connection, []

    def watched(address: tuple[str, int], **facts: object) -> socket.socket:
        dialled.append(address[0])
        return real(address, **facts)

    monkeypatch.setattr(socket, "create_connection", watched)
    with http_receiver() as receiver:
        assert request(parse(receiver.url, SCHEMES)).status == 200
    assert dialled == ["127.0.0.1"]


def test_request__redirect__is_an_answer_and_is_not_followed() -> None:
    with http_receiver(lambda _: (302, {"Location": "http://localhost:1/"}, b"")) as receiver:
        answer = request(parse(receiver.url, SCHEMES))
    assert (answer.status, answer.succeeded) == (302, False)
    assert len(receiver.requests) == 1


def test_request__large_answer__is_cut_off() -> None:
    with http_receiver(lambda _: (200, {}, bytes(70_000))) as receiver:
        assert fault_of(receiver.url) is Fault.TOO_LARGE


def test_request__endless_answer__is_cut_off_where_reading_stops() -> None:
    def pour(link: socket.socket) -> None:
        link.recv(4096)
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            link.sendall(bytes(65_536))

    with raw_receiver(pour) as port:
        assert fault_of(f"http://localhost:{port}/") is Fault.TOO_LARGE


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_request__bytes_that_drip__end_at_the_deadline(head: bytes) -> None:
    ended = threading.Event()

    def drip(link: socket.socket) -> None:
        link.recv(4096)
        link.sendall(head)
        while not ended.wait(0.02):
            link.sendall(b"X")

    with raw_receiver(drip) as port:
        try:
            # Each read gets its byte in time: without the watchdog this would never end.
            assert fault_of(f"http://localhost:{port}/", seconds=0.4) is Fault.TIMEOUT
        finally:
            ended.set()


def test_request__handshake_that_never_ends__ends_at_the_deadline() -> None:
    ended = threading.Event()
    with raw_receiver(lambda _: ended.wait(10) and None) as port:
        try:
            assert fault_of(f"https://localhost:{port}/", seconds=0.4) is Fault.TIMEOUT
        finally:
            ended.set()


def test_request__nonsense_or_nobody__is_told_apart() -> None:
    with raw_receiver(lambda link: link.sendall(b"SSH-2.0-nonsense\r\n")) as port:
        assert fault_of(f"http://localhost:{port}/") in (Fault.MALFORMED, Fault.UNREACHABLE)
    assert fault_of(f"http://localhost:{port}/") is Fault.UNREACHABLE


def test_signature__of_two_secrets__verifies_under_each_by_the_standards_library() -> None:
    secrets = [new_secret(), new_secret()]
    headers = signed("msg_1", '{"a":"ü"}', secrets)
    for secret in secrets:
        assert Webhook(secret).verify('{"a":"ü"}', headers) == {"a": "ü"}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify('{"a":"ü"}', headers)
    assert "=" not in secrets[0]


def test_signature__known_vector__is_the_standards_own() -> None:
    with time_machine.travel(1614265330, tick=False):
        headers = signed(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            '{"test": 2432232314}',
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
