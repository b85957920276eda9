"""Connections to what was judged: the address that was looked at is the address that is dialled."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import cache

from django.conf import settings

from kernel.outbound import addresses
from kernel.outbound.deadline import Deadline
from kernel.outbound.errors import Fault, OutboundError
from kernel.outbound.targets import Target

CONNECT_S = 10.0


@contextlib.contextmanager
def dialled(target: Target, deadline: Deadline) -> Iterator[socket.socket]:
    """Connect, prove the other side's name where the scheme has TLS, and watch the deadline.

    Errors of the connection inside the block leave it as faults.

    Raises:
        OutboundError: the address is refused, nobody answers, or the name is not proven in time.
    """
    try:
        address = _address(target, deadline)
        timeout = min(CONNECT_S, deadline.left())
        with socket.create_connection((address, target.port), timeout=timeout) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with deadline.over(raw):
                if target.plain:
                    raw.settimeout(deadline.left())
                    yield raw
                    return
                context = _tls(str(settings.INNKEEPER_OUTBOUND_CA))
                with context.wrap_socket(raw, server_hostname=target.host) as proven:
                    proven.settimeout(deadline.left())
                    yield proven
    except OSError as error:
        raise OutboundError(_fault(error, deadline)) from error


def _address(target: Target, deadline: Deadline) -> str:
    if target.trusted:
        return addresses.look_up(target.host, target.port, deadline)[0]
    return addresses.resolve(target.host, target.port, deadline, plain=target.plain)


def _fault(error: OSError, deadline: Deadline) -> Fault:
    if deadline.passed or isinstance(error, TimeoutError):
        return Fault.TIMEOUT
    broken = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return Fault.TLS if isinstance(error, ssl.SSLError) and not broken else Fault.UNREACHABLE


@cache
def _tls(more: str) -> ssl.SSLContext:
    """Trust what the system trusts, and the operator's own authority besides."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if more:
        context.load_verify_locations(cafile=more)
    return context
