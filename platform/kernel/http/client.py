"""Whose address a request comes from."""

import ipaddress
from functools import cache, lru_cache

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

    The leftmost address is the client's own claim and is never believed.
    """
    networks = trusted()
    if not networks or not forwarded or not _within(remote, networks):
        return address(remote)
    for hop in reversed(forwarded.split(",")):
        claimed = address(hop.strip())
        if claimed is None:
            return address(remote)
        if not _within(claimed, networks):
            return claimed
    return address(remote)


@lru_cache(maxsize=4096)
def address(text: str) -> str | None:
    """Give an address in its canonical form; None for anything else.

    The zone of a link-local one (``%eth0``) means something on this machine only: it is left out.
    """
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _within(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        place = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(place in network for network in networks)
