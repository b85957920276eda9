"""Entries reach a syslog receiver over TLS, framed, and no other than the one named."""

import json
import re
import socket
import ssl
import struct
from collections.abc import Iterator
from datetime import datetime
from uuid import uuid4

import pytest

from audit.sealing.sealer import Sealer
from audit.streams import delivery, progress
from tests.audit.streaming import deliver, places, sealed, state, stream
from tests.guests import system
from tests.receivers import raw_receiver, tls
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("loopback")


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
        until("all is delivered", lambda: deliver(made) >= 0 and state(made).waiting == 0)
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
