"""Sets of places as half-open ranges, in order, apart from each other."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

Range = tuple[int, int]
Ranges = tuple[Range, ...]
NONE: Final[Ranges] = ()


def union(*sets: Iterable[Range]) -> Ranges:
    """Return the places of all the sets."""
    joined: list[Range] = []
    for first, past in sorted(one for some in sets for one in some):
        if past <= first:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(past, joined[-1][1]))
        else:
            joined.append((first, past))
    return tuple(joined)


def without(ranges: Iterable[Range], gone: Iterable[Range]) -> Ranges:
    """Return the places of `ranges` that are not in `gone`."""
    left: list[Range] = []
    holes = union(gone)
    for first, past in union(ranges):
        at = first
        for hole_first, hole_past in holes:
            if hole_past <= at or hole_first >= past:
                continue
            if hole_first > at:
                left.append((at, hole_first))
            at = max(at, hole_past)
        if at < past:
            left.append((at, past))
    return tuple(left)


def singles(places: Iterable[int]) -> Ranges:
    """Return single places as a set."""
    return union((place, place + 1) for place in places)


def count(ranges: Iterable[Range]) -> int:
    """Return how many places there are."""
    return sum(past - first for first, past in ranges)


def covers(ranges: Sequence[Range], place: int) -> bool:
    """Tell whether the place is in the set."""
    at = bisect_right(ranges, (place, place)) - 1
    if at + 1 < len(ranges) and ranges[at + 1][0] == place:
        return True
    return at >= 0 and ranges[at][0] <= place < ranges[at][1]


def multirange(ranges: Iterable[Range]) -> str:
    """Write the set as PostgreSQL's int8multirange."""
    return "{" + ",".join(f"[{first},{past})" for first, past in ranges) + "}"
