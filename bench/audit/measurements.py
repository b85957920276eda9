"""The measurements by name. Times are milliseconds unless the name says otherwise."""

from collections.abc import Callable
from typing import Any, Final

from bench.audit import cost, reading, sealing

ALL: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    "cost": cost.cost,
    "seal": sealing.seal,
    "verify": reading.verify,
    "proof": reading.proof,
    "search": reading.search,
    "search-again": reading.search_again,
}
