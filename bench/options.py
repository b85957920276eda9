"""What a run consists of, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

FLOORS = {"raw": "raw", "django": "django_view", "drf": "drf_view"}
OURS = ("health", "verify", "entitlement", "ingest", "ingest100", "ingest1000")
PEERS = ("assembly", "assembly_lean")
LEGS = ("open", "beside", "exact")
PARTS = (*FLOORS, *OURS, *PEERS, *LEGS)
TITLES = {
    "raw": "raw WSGI",
    "django": "bare Django view",
    "drf": "minimal DRF view",
    "health": "GET /livez",
    "verify": "POST /api/v1/keys/verify",
    "entitlement": "GET …/entitlements/{feature}/value",
    "ingest": "POST /api/v1/events, one event, 16 connections",
    "ingest100": "POST /api/v1/events, batch of 100",
    "ingest1000": "POST /api/v1/events, batch of 1,000",
    "assembly": "the usual assembly",
    "assembly_lean": "the usual assembly, no audit entry",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What to run and for how long; the defaults take five minutes on a quiet
    machine and up to fifteen on one that is not."""

    parts: tuple[str, ...] = PARTS
    rounds: int = 6
    seconds: float = 2.0
    connections: int = 8
    open_seconds: float = 4.0
    open_windows: int = 8  # 1,600 probes of /livez: fewer do not tell a p99 of 4 from 5 ms
    exact_requests: int = 12_000
    command: str = "python -m bench"
