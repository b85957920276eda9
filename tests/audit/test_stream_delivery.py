"""Entries reach real receivers at least once, in order, whatever fails on the way."""

import base64
import re
import socket
import subprocess
import sys
import threading
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook

from audit.models import PLATFORM_TENANT
from audit.sealing.sealer import Sealer
from audit.streams import delivery, dispatcher, progress, services
from audit.streams.jobs import send_test
from audit.streams.services import Made
from kernel import ids
from kernel.tenancy import tenant_context
from tests.audit.logs import rows
from tests.audit.streaming import (
    deliver,
    lines,
    once,
    places,
    sealed,
    state,
    stream,
)
from tests.guests import inside, system
from tests.receivers import Received, accept, http_receiver, tls
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("loopback")
DYING = Path(__file__).with_name("dying_receiver.py")


def test_webhook__over_tls__brings_signed_lines_that_can_be_recomputed(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(context=tls()) as receiver:
        made = stream(tenant, receiver.url + "/in", scope="platform")
        sealed(sealer, tenant, 16)
        assert deliver(made) == 17
    told = lines([one.body for one in receiver.requests])
    assert places(told) == list(range(17))
    for one in receiver.requests:
        Webhook(made.secret).verify(one.body, one.headers, json_parse=False)
    first = next(line for line in receiver.requests[0].body.splitlines())
    leaf = re.search(rb'"leaf":(\{.*\})\}$', first)
    assert leaf is not None
    assert base64.b64decode(told[0]["leaf_hash"]) == sha256(b"\x00" + leaf[1]).digest()
    assert told[0]["leaf"]["action"] == "audit.stream.created"
    assert {one["tenant"] for one in told} == {ids.encode("ten", tenant)}
    (note,) = [one for one in told if one.get("type") == "audit.checkpoint"]
    assert note["note"].split("\n")[1] == str(note["size"])
    assert (state(made).waiting, state(made).delivered) == (0, 17)
    assert deliver(made) == 0


def test_webhook__failing_half_of_the_time__gets_everything_in_order(
    sealer: Sealer, capfd: pytest.CaptureFixture[str]
) -> None:
    tenant, kept, calls = uuid4(), [], []

    def flaky(received: Received) -> tuple[int, dict[str, str], bytes]:
        calls.append(received.headers["webhook-id"])
        if len(calls) % 4 == 1:
            return 500, {}, b""  # nothing kept
        kept.append(received.body)
        # Kept, but the answer is lost to us.
        return (503, {}, b"") if len(calls) % 4 == 3 else (200, {}, b"")

    with http_receiver(flaky, context=tls()) as receiver:
        made = stream(tenant, receiver.url, scope="both")
        for _ in range(3):
            sealed(sealer, tenant, 20)
            until("all is delivered", lambda: deliver(made) >= 0 and state(made).waiting == 0)
    told = lines(kept)
    assert once(told) == list(range(61))
    assert len(places(told)) > 61  # some came twice, under the id of the first time
    assert len(set(calls)) < len(calls)
    assert state(made).failures == 0
    assert made.secret not in "".join(capfd.readouterr())


def test_webhook__receiver_killed__goes_on_where_it_was(sealer: Sealer, tmp_path: Path) -> None:
    tenant = uuid4()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = tmp_path / "kept"
    kept.touch()
    made = stream(tenant, f"http://localhost:{port}/", scope="platform")
    sealed(sealer, tenant, 60)
    for _ in range(3):  # it kills itself in the middle of its third request, before it answers
        with receiver_process(port, kept, dies_at=3) as process:
            until("it died", lambda: deliver(made) >= 0 and process.poll() is not None)
    with receiver_process(port, kept, dies_at=0):
        until("all is delivered", lambda: deliver(made) >= 0 and state(made).waiting == 0)
    told = lines(kept.read_bytes().splitlines(keepends=True))
    assert once(told) == list(range(61))
    assert len(places(told)) > 61


def receiver_process(port: int, kept: Path, *, dies_at: int) -> Any:
    process = subprocess.Popen(
        [sys.executable, str(DYING), str(port), str(kept), str(dies_at)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return Ending(process)


class Ending:
    """Ends a receiver's process with the block."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=20)


def test_claim__of_a_deliverer_that_died__is_taken_over_and_fenced(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver() as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 4)
        with system():
            (dead,) = progress.claim(1, only=made.stream.id)
            at = progress.position(made.stream.id, 60.0)
            assert at is not None
            assert progress.claim(1, only=made.stream.id) == []
            expire(made)
            assert dispatcher.deliver_now(made.stream.id) == 5
            assert progress.succeeded(dead, at, following=1, noted=False) is None
            assert progress.failed(dead, "late", 60.0) is None
    assert (state(made).waiting, state(made).failures) == (0, 0)
    assert places(lines([one.body for one in receiver.requests])) == [0, 1, 2, 3, 4]


def expire(made: Made) -> None:
    rows(
        "UPDATE audit_stream_state SET leased_until = now() - interval '1 second' "
        "WHERE stream_id = %s RETURNING 1",
        made.stream.id,
    )


def test_stream__paused_while_it_sends__keeps_what_arrived(sealer: Sealer) -> None:
    tenant = uuid4()

    def pausing(received: Received) -> tuple[int, dict[str, str], bytes]:
        return accept(received)

    with http_receiver(pausing) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 20)
        with system():
            (held,) = progress.claim(1, only=made.stream.id)
        with inside(tenant):
            services.pause(made.stream.id)
        with system():
            assert delivery.deliver(held) == 7
        assert deliver(made) == 0
        with inside(tenant):
            services.resume(made.stream.id)
        sealer.drain()
        assert deliver(made) == 16  # with the entries about pausing and resuming
    assert places(lines([one.body for one in receiver.requests])) == list(range(23))


def test_resume__from_the_beginning__sends_everything_again(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver() as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 5)
        deliver(made)
        with inside(tenant):
            services.resume(made.stream.id, from_beginning=True)
        deliver(made)
    assert places(lines([one.body for one in receiver.requests])) == [*range(6), *range(6)]


def test_stream__of_everything__interleaves_tenants_and_keeps_each_log_in_order(
    sealer: Sealer,
) -> None:
    tenants = [uuid4(), uuid4()]
    with http_receiver() as receiver:
        made = stream(PLATFORM_TENANT, receiver.url, scope="everything", from_beginning=False)
        for tenant in tenants:
            sealed(sealer, tenant, 10)
        deliver(made)
    told = lines([one.body for one in receiver.requests])
    for tenant in tenants:
        own = [one for one in told if one["tenant"] == ids.encode("ten", tenant)]
        assert places(own) == list(range(10))
    with system():
        services.delete(made.stream.id)


def test_place__whose_bytes_are_gone__is_told_and_not_skipped(
    sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, real = uuid4(), delivery.logs.entries

    def pruned(log_id: UUID, start: int, stop: int) -> list[tuple[int, UUID, bytes]]:
        return [one for one in real(log_id, start, stop) if one[0] != 2]

    monkeypatch.setattr(delivery.logs, "entries", pruned)
    with http_receiver() as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 3)
        deliver(made)
    told = lines([one.body for one in receiver.requests])
    assert places(told) == [0, 1, 2, 3]
    assert [one["leaf_index"] for one in told if one.get("missing")] == [2]


def test_splunk__receives_events_of_its_own_form(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(context=tls()) as receiver:
        url = receiver.url + "/services/collector/event"
        made = stream(tenant, url, kind="splunk", token="t0k3n", scope="platform")
        sealed(sealer, tenant, 2)
        assert deliver(made) == 3
    (received,) = receiver.requests
    assert received.headers["authorization"] == "Splunk t0k3n"
    told = lines([received.body])
    assert {one["sourcetype"] for one in told} == {"innkeeper:audit"}
    assert places([one["event"] for one in told]) == [0, 1, 2]
    at = datetime.fromisoformat(told[0]["event"]["leaf"]["at"])
    assert told[0]["time"] == pytest.approx(at.timestamp(), abs=1e-6)


@pytest.mark.parametrize(("status", "outcome"), [(200, "arrived"), (403, "status_403")])
def test_test_message__whatever_comes_of_it__is_kept(status: int, outcome: str) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: (status, {}, b"")) as receiver:
        made = stream(tenant, receiver.url)
        with system():
            send_test.function(stream_id=str(made.stream.id))
    assert (state(made).test_outcome, state(made).waiting) == (outcome, 0)
    (told,) = lines([one.body for one in receiver.requests])
    assert told["type"] == "audit.stream.test"


def test_run_streams__as_the_worker_does__delivers_until_stopped(
    sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, claim = uuid4(), progress.claim
    stop = threading.Event()
    with http_receiver() as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        # Streams of other tests lead to names that do not exist: those are not waited for.
        monkeypatch.setattr(progress, "claim", lambda limit: claim(limit, only=made.stream.id))
        sealed(sealer, tenant, 3)
        thread = threading.Thread(target=dispatcher.run_streams, args=[stop])
        thread.start()
        try:
            until("all is delivered", lambda: state(made).waiting == 0)
        finally:
            stop.set()
            thread.join(20)
    assert not thread.is_alive()
    with tenant_context(tenant):
        assert places(lines([one.body for one in receiver.requests])) == [0, 1, 2, 3]
