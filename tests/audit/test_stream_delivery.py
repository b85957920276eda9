"""Entries reach real receivers at least once, in order, whatever fails on the way."""

import base64
import json
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook
from tlog_scales.tlog import ConsistencyProof

from audit.models import PLATFORM_TENANT
from audit.sealing import checkpoints, headslog
from audit.sealing.sealer import Sealer
from audit.streams import delivery, dispatcher, progress, queries, services
from audit.streams.jobs import send_test
from audit.streams.services import Made, NewStream
from kernel import ids
from kernel.tenancy import tenant_context
from tests.audit.logs import changes, rows
from tests.guests import inside, system
from tests.receivers import Received, accept, http_receiver, raw_receiver, tls, write_authority

DYING = Path(__file__).with_name("dying_receiver.py")


@pytest.fixture(autouse=True)
def _loopback(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.INNKEEPER_OUTBOUND_TARGETS = ["127.0.0.0/8", "::1/128"]
    settings.INNKEEPER_OUTBOUND_CA = write_authority(tmp_path)
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(delivery, "MOST_ENTRIES", 7)


def stream(tenant: UUID, url: str, **facts: Any) -> Made:
    asked = NewStream(**{"name": "test", "kind": "webhook", "url": url, "scope": "both"} | facts)
    if tenant == PLATFORM_TENANT:
        with system():
            return services.create(asked)
    with inside(tenant):
        return services.create(asked)


def sealed(sealer: Sealer, tenant: UUID, count: int) -> None:
    changes(tenant, count)
    sealer.drain()


def deliver(made: Made) -> int:
    with system():
        return dispatcher.deliver_now(made.stream.id)


def state(made: Made) -> queries.Health:
    with system():
        return queries.health_of([made.stream])[made.stream.id]


def lines(bodies: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def places(documents: list[dict[str, Any]]) -> list[int]:
    return [one["leaf_index"] for one in documents if "leaf_index" in one]


def once(documents: list[dict[str, Any]]) -> list[int]:
    """Deduplicate by id, as a receiver would, keeping the first of each."""
    first = {one["id"]: one["leaf_index"] for one in documents if "leaf_index" in one}
    return list(first.values())


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
            with_patience(lambda: deliver(made) >= 0 and state(made).waiting == 0)
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
            with_patience(lambda: deliver(made) >= 0 and process.poll() is not None)
    with receiver_process(port, kept, dies_at=0):
        with_patience(lambda: deliver(made) >= 0 and state(made).waiting == 0)
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


def with_patience(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


FRAME = re.compile(rb"([1-9][0-9]*) ")
MESSAGE = re.compile(
    rb"<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) \[audit@32473 id=\"([^\"]+)\"\] (.*)", re.S
)


def frames(data: bytes) -> Iterator[re.Match[bytes]]:
    """Take messages apart by their lengths (RFC 5425) and their fields (RFC 5424)."""
    while data:
        size = FRAME.match(data)
        assert size is not None
        start, stop = size.end(), size.end() + int(size[1])
        message = MESSAGE.fullmatch(data[start:stop])
        assert message is not None
        yield message
        data = data[stop:]


def test_syslog__over_tls__brings_framed_messages_until_both_sides_closed(sealer: Sealer) -> None:
    tenant, received, calls, context = uuid4(), [], [], tls()

    def collect(link: socket.socket) -> None:
        calls.append(1)
        with context.wrap_socket(link, server_side=True) as proven:
            if len(calls) == 2:
                # Dies with what was sent unread: the other side sees a reset.
                proven.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            data = bytearray()
            while part := proven.recv(65_536):
                data += part
            received.append(bytes(data))
            proven.unwrap()

    with raw_receiver(collect) as port:
        made = stream(tenant, f"syslog+tls://localhost:{port}", kind="syslog", scope="platform")
        sealed(sealer, tenant, 20)
        with_patience(lambda: deliver(made) >= 0 and state(made).waiting == 0)
    assert len(calls) >= 4
    messages = [message for data in received for message in frames(data)]
    told = [json.loads(message[8]) for message in messages]
    assert places(told) == list(range(21))
    priority, at, _, app, _, name, identifier, _ = messages[1].groups()
    assert (priority, app, name) == (b"109", b"innkeeper", b"sample.renamed")
    assert datetime.fromisoformat(at.decode()).tzinfo is not None
    assert identifier.decode() == told[1]["id"]


def test_syslog__certificate_of_another_name__sends_nothing(sealer: Sealer) -> None:
    tenant, received, context = uuid4(), [], tls("elsewhere.example")

    def collect(link: socket.socket) -> None:
        with context.wrap_socket(link, server_side=True) as proven:
            received.append(proven.recv(100))

    with raw_receiver(collect) as port:
        made = stream(tenant, f"syslog+tls://localhost:{port}", kind="syslog", scope="platform")
        sealed(sealer, tenant, 1)
        with system():
            (held,) = progress.claim(1, only=made.stream.id)
            assert delivery.deliver(held) == 0
    assert received == []
    assert state(made).last_error == "tls"
    assert ssl.OPENSSL_VERSION_INFO >= (3,)


def failing_once(made: Made) -> None:
    with system():
        (held,) = progress.claim(1, only=made.stream.id)
        assert delivery.deliver(held) == 0


def outbox(tenant: UUID) -> list[tuple[Any, ...]]:
    return rows(
        "SELECT payload->>'reason', payload->>'last_error' FROM kernel_outbox "
        "WHERE tenant_id = %s AND name = 'audit_stream.paused'",
        tenant,
    )


def test_stream__that_failed_for_days__is_paused_with_entry_and_event(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: (500, {}, b"")) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        failing_once(made)
        assert (state(made).failures, state(made).last_error) == (1, "status_500")
        assert outbox(tenant) == []
        rows(
            "UPDATE audit_stream_state SET failures = 20, next_at = now(), "
            "failing_since = now() - interval '4 days' WHERE stream_id = %s RETURNING 1",
            made.stream.id,
        )
        failing_once(made)
        assert deliver(made) == 0
    assert rows("SELECT status, reason FROM audit_stream WHERE id = %s", made.stream.id) == [
        ("paused", "failing")
    ]
    assert outbox(tenant) == [("failing", "status_500")]
    told = rows(
        "SELECT actor_type FROM audit_event WHERE tenant_id = %s AND action = %s",
        tenant,
        "audit.stream.paused",
    )
    assert told == [("system",)]


@pytest.mark.parametrize("answer", [(410, {}, b""), (500, {"webhook-delivery": "disable"}, b"")])
def test_stream__whose_receiver_is_gone__is_paused_at_once(sealer: Sealer, answer: Any) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: answer) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        failing_once(made)
    assert outbox(tenant) == [("gone", f"status_{answer[0]}")]


def test_failure__with_a_hint__waits_as_long_as_asked(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(lambda _: (429, {"Retry-After": "120"}, b"")) as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        failing_once(made)
    ((seconds,),) = rows(
        "SELECT extract(epoch FROM next_at - failing_since)::float8 FROM audit_stream_state "
        "WHERE stream_id = %s",
        made.stream.id,
    )
    assert 119.9 < seconds < 121


def test_backoff__grows_to_five_minutes_and_is_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 1.0)
    pauses = [delivery.backoff_s(failures) for failures in range(40)]
    assert all(
        step <= pause <= 1.1 * step for step, pause in zip((1, 2, 4, 8), pauses, strict=False)
    )
    assert all(300 <= pause <= 330 for pause in pauses[9:])


def test_checkpoints__to_the_tenant__prove_growth_and_are_kept_as_anchors(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(context=tls()) as receiver:
        made = stream(tenant, receiver.url, content="checkpoints", scope="platform")
        for _ in range(2):
            sealed(sealer, tenant, 300)
            rows(
                "UPDATE audit_stream_state SET next_at = now() WHERE stream_id = %s RETURNING 1",
                made.stream.id,
            )
            deliver(made)
    old, new = lines([one.body for one in receiver.requests])
    Webhook(made.secret).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert (old["type"], old["old"], old["size"]) == ("audit.checkpoint", 0, 301)
    assert (new["old"], new["size"]) == (301, 601)
    path = [base64.b64decode(one) for one in new["consistency"]]
    roots = [base64.b64decode(one["root"]) for one in (old, new)]
    ConsistencyProof(301, 601, path).check(*roots)
    anchored = rows(
        "SELECT size, proof FROM audit_anchor WHERE tenant_id = %s AND kind = 'receiver' "
        "ORDER BY size",
        tenant,
    )
    assert anchored == [(301, old["note"]), (601, new["note"])]


def test_checkpoints__to_the_operator__bring_the_log_of_heads(sealer: Sealer) -> None:
    sealed(sealer, uuid4(), 1)
    headslog.publish()
    with http_receiver() as receiver:
        made = stream(
            PLATFORM_TENANT, receiver.url, content="checkpoints", scope="platform",
            from_beginning=True,
        )  # fmt: skip
        deliver(made)
    told = lines([one.body for one in receiver.requests])
    assert "heads" in {one["stream"] for one in told}
    with system():
        services.delete(made.stream.id)


def test_stream__log_that_may_not_be_signed__waits_and_says_so(
    sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(log_id: UUID, *, at_least: int = 0) -> None:
        raise checkpoints.ForkRefusedError("The log differs from its anchored checkpoint.")

    tenant = uuid4()
    with http_receiver() as receiver:
        made = stream(tenant, receiver.url, scope="platform")
        sealed(sealer, tenant, 1)
        monkeypatch.setattr(delivery.proofs, "checkpoint", refuse)
        failing_once(made)
    assert receiver.requests == []
    assert state(made).last_error == "audit_log_forked"


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
            with_patience(lambda: state(made).waiting == 0)
        finally:
            stop.set()
            thread.join(20)
    assert not thread.is_alive()
    with tenant_context(tenant):
        assert places(lines([one.body for one in receiver.requests])) == [0, 1, 2, 3]
