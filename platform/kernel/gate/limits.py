"""What the gate's raw counts mean: limits, remainders, resets.

Quotas are fixed UTC days; bursts are GCRA (ITU-T I.371): the theoretical arrival time (TAT) may run
ahead of the clock by depth x interval at most. All arithmetic is integer microseconds.
"""

from dataclasses import dataclass

DAY_S = 86_400
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit after a decision: ``reset`` is whole seconds until there is more; never negative.

    ``window`` is in seconds: a day, or the time in which a burst refills from empty.
    """

    name: str
    limit: int
    window: int
    remaining: int
    reset: int
    exceeded: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """The raw answer of the gate for one subject."""

    used: int
    tat_us: int
    daily: int | None
    interval_us: int | None
    depth: int | None


def daily_limit(
    name: str, counts: Counts, now_us: int, cost: int, *, refused: bool
) -> Limit | None:
    """Read the daily quota out of the counts; None where there is none."""
    if counts.daily is None:
        return None
    remaining = counts.daily - counts.used
    reset = DAY_S - now_us // _US % DAY_S
    return Limit(name, counts.daily, DAY_S, max(remaining, 0), reset, refused and remaining < cost)


def burst_limit(
    name: str, counts: Counts, now_us: int, cost: int, *, refused: bool
) -> Limit | None:
    """Read the burst limit out of the counts; None where there is none."""
    interval, depth = counts.interval_us, counts.depth
    if interval is None or depth is None:
        return None
    ahead = max(counts.tat_us - now_us, 0)
    room = depth * interval - ahead
    exceeded = refused and room < cost * interval
    wait = cost * interval - room if exceeded else (interval - room if room < interval else 0)
    window = max(-(-depth * interval // _US), 1)
    return Limit(name, depth, window, max(room // interval, 0), max(-(-wait // _US), 0), exceeded)


def standing(key: Counts, tenant: Counts, now_us: int, cost: int, *, refused: bool) -> list[Limit]:
    """List the limits of a key and its tenant, the key's first."""
    found = (
        burst_limit("burst", key, now_us, cost, refused=refused),
        daily_limit("daily", key, now_us, cost, refused=refused),
        burst_limit("tenant_burst", tenant, now_us, cost, refused=refused),
        daily_limit("tenant_daily", tenant, now_us, cost, refused=refused),
    )
    return [limit for limit in found if limit is not None]


def binding(limits: list[Limit]) -> Limit | None:
    """Pick the limit that matters most: an exceeded one, else the one with least left."""
    if not limits:
        return None
    return min(limits, key=lambda limit: (not limit.exceeded, limit.remaining, -limit.reset))


def headers(limits: list[Limit], now_us: int) -> dict[str, str]:
    """Write the rate-limit headers (draft-ietf-httpapi-ratelimit-headers-11, and X-RateLimit-*).

    ``t`` counts seconds from ``now_us``, the gate's clock; ``X-RateLimit-Reset`` names the moment
    itself, in Unix seconds, as clients of that older family of headers read it.
    """
    bound = binding(limits)
    if bound is None:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{x.name}";q={x.limit};w={x.window}' for x in limits),
        "RateLimit": ", ".join(f'"{x.name}";r={x.remaining};t={x.reset}' for x in limits),
        "X-RateLimit-Limit": str(bound.limit),
        "X-RateLimit-Remaining": str(bound.remaining),
        "X-RateLimit-Reset": str(_moment(bound, now_us)),
    }


def _moment(limit: Limit, now_us: int) -> int:
    """Give the Unix second of the reset: the day's end itself, for a burst never too early."""
    whole = now_us // _US if limit.name.endswith("daily") else -(-now_us // _US)
    return whole + limit.reset
