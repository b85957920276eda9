"""The measurements by name. Times are milliseconds unless the name says otherwise."""

from collections.abc import Callable
from typing import Any, Final

from bench.audit import cost, drills, reading, sealing, siem

ALL: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    "cost": cost.cost,
    "seal": sealing.seal,
    "verify": reading.verify,
    "proof": reading.proof,
    "search": reading.search,
    "search-again": reading.search_again,
    "killed": drills.killed,
    "storm": drills.storm,
    "streamed": siem.streamed,
    "small-streamed": siem.small_streamed,
    "small-killed": lambda count: drills.kill(["extend", "index", "anchor"], count or 2),
    "small-storm": lambda rounds: drills.meet(0, rounds=rounds or 2, probes=3),
}
