"""The limit of failed authentications: exact over all processes, free for a valid key.

A key with a right checksum that nobody has is a guess or a leaked, deleted key in a loop. Each
counts against the client's address: 401 up to the limit, then 429 until there is room again. Keys
that are valid are never looked at here, so that a guessing neighbour behind the same address locks
nobody out. Malformed keys cost no statement at all and are not counted.
"""

import ipaddress
import math
import threading
import time
from typing import Final

from django.conf import settings

from kernel import db
from kernel.gate.wire import Statement, hot

_MINUTE_US: Final = 60_000_000
_US: Final = 1_000_000
_UNKNOWN: Final = "0.0.0.0/32"
_REMEMBERED_S: Final = 1.0
_MOST_REMEMBERED: Final = 10_000
_COUNT: Final = Statement(
    "gate_count_failure", "SELECT gate.count_failure($1::cidr, $2::bigint, $3::bigint)", 3
)


class Refused:
    """The networks that this process knows to be over the limit: a flood costs no count each.

    An entry holds for a second at most, so that it is never much older than what PostgreSQL says.
    """

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()

    def wait_s(self, network: str) -> float:
        """Give the seconds that a network has to wait; 0 where nothing is known."""
        now = time.monotonic()
        with self._guard:
            remembered, until = self._until.get(network, (0.0, 0.0))
        return max(until - now, 0.0) if now < remembered else 0.0

    def remember(self, network: str, wait_s: float) -> None:
        """Keep what PostgreSQL said about a network."""
        now = time.monotonic()
        with self._guard:
            if len(self._until) >= _MOST_REMEMBERED:
                self._until.clear()
            self._until[network] = (now + min(wait_s, _REMEMBERED_S), now + wait_s)


_refused: Final = Refused()


def count(address: str | None) -> int:
    """Count a failed authentication of a client; give 0, or the whole seconds that it has to wait.

    Raises:
        kernel.errors.Unavailable: the gate does not answer.
    """
    network = network_of(address)
    wait_s = _refused.wait_s(network)
    if not wait_s:
        most = settings.INNKEEPER_FAILED_AUTH_PER_MINUTE
        values = [network.encode(), str(_MINUTE_US // most).encode(), str(most).encode()]
        wait_s = int(hot().row(_COUNT, list(values))[0] or 0) / _US
        if wait_s:
            _refused.remember(network, wait_s)
    return math.ceil(wait_s)


def forget() -> int:
    """Delete the networks that are limited no more; give their number. Runs as staff."""
    return int(db.rows("SELECT gate.forget_failures()")[0][0])


def network_of(address: str | None) -> str:
    """Name the network that answers for an address: itself, or the /64 of one of IPv6."""
    if address is None:
        return _UNKNOWN
    place = ipaddress.ip_address(address)
    if isinstance(place, ipaddress.IPv6Address):
        if place.ipv4_mapped is None:
            return str(ipaddress.ip_network((place, 64), strict=False))
        place = place.ipv4_mapped
    return f"{place}/32"
