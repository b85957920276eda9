"""Whose address a request comes from."""

import ipaddress
from functools import cache

from django.conf import settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@cache
def trusted() -> tuple[Network, ...]:
    """Give the networks of proxies whose X-Forwarded-For is believed."""
    return tuple(
        ipaddress.ip_network(text, strict=False) for text in settings.INNKEEPER_TRUSTED_PROXIES
    )


def client_ip(remote: str, forwarded: str) -> str | None:
    """Give the rightmost forwarded address that is no trusted proxy's, else the socket's.

    The leftmost address is the client's own claim (identity.md section 4) and is never believed.
    """
    networks = trusted()
    if not networks or not forwarded or not _within(remote, networks):
        return _clean(remote)
    for hop in reversed(forwarded.split(",")):
        address = hop.strip()
        if _clean(address) is None:
            return _clean(remote)
        if not _within(address, networks):
            return address
    return _clean(remote)


def _clean(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _within(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
