"""Addresses as customers write them: which shapes are taken, before anything is dialled."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from kernel.errors import Invalid
from kernel.outbound import addresses

LONGEST: Final = 2_000
PORTS: Final = {"https": 443, "http": 80, "syslog+tls": 6514}
PLAIN: Final = frozenset({"http"})
"""Schemes without TLS: only to networks that the operator named."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes. ``path`` begins with a slash and holds the query, too."""

    scheme: str
    host: str
    port: int
    path: str
    trusted: bool = False
    """Given by the operator: it may lead anywhere."""

    @property
    def plain(self) -> bool:
        """Tell whether the scheme has no TLS."""
        return self.scheme in PLAIN

    @property
    def authority(self) -> str:
        """Give the Host header: the name, and the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def parse(
    url: str, schemes: Collection[str], *, pointer: str = "/url", trusted: bool = False
) -> Target:
    """Read and judge an address that a customer gives. Resolves nothing: dialling judges again.

    One of the operator's own settings is ``trusted``: only its shape is judged.

    Raises:
        kernel.errors.Invalid: the shape, scheme, port or literal address is not one that we call.
    """
    if not 0 < len(url) <= LONGEST or not url.isascii() or any(c <= " " for c in url):
        raise _refused("An address is ASCII text without spaces.", pointer)
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise _refused("This is no address.", pointer) from error
    host = (split.hostname or "").rstrip(".")
    if split.scheme not in schemes:
        wanted = ", ".join(sorted(schemes))
        raise _refused(f"The scheme must be one of {wanted}.", pointer)
    if not host or "%" in host or split.username is not None or split.fragment:
        detail = "An address names a host, without user, password and fragment."
        raise _refused(detail, pointer)
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    port = PORTS[split.scheme] if port is None else port
    target = Target(split.scheme, host, port, path, trusted)
    if not trusted and not _may_be_called(target):
        detail = "Addresses, ports or plain connections of this kind are not called from here."
        raise _refused(detail, pointer)
    return target


def _refused(detail: str, pointer: str) -> Invalid:
    return Invalid(detail, code="target_refused", pointer=pointer)


def _may_be_called(target: Target) -> bool:
    """Judge port, plainness and literal addresses; a name's addresses are judged when dialled."""
    try:
        literal = ipaddress.ip_address(target.host)
    except ValueError:
        # What a name leads to is unknown yet: it may be one of the operator's own networks.
        listed = target.port in settings.INNKEEPER_OUTBOUND_PORTS and not target.plain
        return listed or addresses.opened_at_all(target.port)
    return addresses.admits(literal, target.port, plain=target.plain)
