"""Which addresses may be dialled. The ranges are those of Microsoft's AntiSSRF, and two it lacks.

Addresses are compared in IPv6 form, IPv4 as ``::ffff:a.b.c.d``: so one list serves both families
and no spelling of an IPv4 address escapes it.
"""

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from AntiSSRF import IPAddressRanges
from django.conf import settings

from kernel.outbound.deadline import Deadline
from kernel.outbound.errors import Fault, OutboundError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_MORE: Final = ("::/96", "::ffff:0:0:0/96")
"""IPv4-compatible and SIIT addresses: other spellings of IPv4 ones."""
_RESOLVING: Final = threading.BoundedSemaphore(16)
_OPENED = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Opened:
    """A network that the operator opened; ``port`` None means all of its ports."""

    network: ipaddress.IPv6Network
    port: int | None

    def covers(self, address: ipaddress.IPv6Address, port: int) -> bool:
        """Tell whether the address at that port is in it."""
        return address in self.network and self.port in (None, port)


def read_opened(text: str) -> Opened:
    """Read an operator's ``10.1.0.0/16``, ``10.1.0.0/16:8443``, ``fd00::/8`` or ``[fd00::/8]:443``.

    Raises:
        ValueError: it is none of these.
    """
    match = _OPENED.fullmatch(text)
    if match is None:
        return Opened(_mapped_network(text), None)
    return Opened(_mapped_network(match["v6"] or match["v4"]), int(match["port"]))


def admits(address: Address, port: int, *, plain: bool) -> bool:
    """Tell whether a call may go there; one without TLS only to a network that was opened."""
    mapped = _mapped(address)
    if any(one.covers(mapped, port) for one in opened()):
        return True
    if plain or port not in settings.INNKEEPER_OUTBOUND_PORTS:
        return False
    return not any(mapped in network for network in _forbidden())


def opened_at_all(port: int) -> bool:
    """Tell whether any opened network could be meant by a name at that port."""
    return any(one.port in (None, port) for one in opened())


def resolve(host: str, port: int, deadline: Deadline, *, plain: bool) -> str:
    """Resolve a name once and give the address to dial. One forbidden address refuses the name.

    Raises:
        OutboundError: the name is unknown, leads to a forbidden address, or takes too long.
    """
    found = look_up(host, port, deadline)
    if not all(admits(ipaddress.ip_address(one), port, plain=plain) for one in found):
        raise OutboundError(Fault.ADDRESS_REFUSED)
    return found[0]


def look_up(host: str, port: int, deadline: Deadline) -> Sequence[str]:
    """Ask the system's resolver, which knows no timeout: in a thread that may be left behind.

    Raises:
        OutboundError: the name is unknown, or the resolver takes too long.
    """
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
    if not _RESOLVING.acquire(timeout=deadline.left()):
        raise OutboundError(Fault.TIMEOUT)
    threading.Thread(target=_ask, args=(host, port, answers), name="resolve", daemon=True).start()
    try:
        found = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise OutboundError(Fault.TIMEOUT) from None
    if not found:
        raise OutboundError(Fault.NAME_UNKNOWN)
    return found


def _ask(host: str, port: int, answers: queue.SimpleQueue[list[str] | None]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answers.put([str(address[0]) for *_, address in found])
    except (OSError, UnicodeError):
        answers.put(None)
    finally:
        _RESOLVING.release()


def _mapped(address: Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(f"::ffff:{address}")
    return ipaddress.IPv6Address(int(address))  # without a zone, which no network compares with


def _mapped_network(text: str) -> ipaddress.IPv6Network:
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network):
        return network
    return ipaddress.IPv6Network((_mapped(network.network_address), network.prefixlen + 96))


@cache
def _forbidden() -> tuple[ipaddress.IPv6Network, ...]:
    return tuple(map(_mapped_network, (*IPAddressRanges.recommended_latest, *_MORE)))


def opened() -> tuple[Opened, ...]:
    """Give the networks that the operator opened.

    Raises:
        ValueError: one is misspelt.
    """
    return _read_all(tuple(settings.INNKEEPER_OUTBOUND_TARGETS))


@cache
def _read_all(texts: tuple[str, ...]) -> tuple[Opened, ...]:
    return tuple(map(read_opened, texts))
