"""Routes of operation and documentation."""

from __future__ import annotations

from bench.latency.calls import Call
from tests.latency.cases import Case, always

CASES: dict[str, Case] = {
    "GET /": Case(always(lambda world: Call("GET", "/")), "health.root"),
    "GET /livez": Case(always(lambda world: Call("GET", "/livez")), "health.live"),
    "GET /readyz": Case(always(lambda world: Call("GET", "/readyz")), "health.ready"),
    "GET /health": Case(always(lambda world: Call("GET", "/health")), "health.live"),
    "GET /metrics": Case(always(lambda world: Call("GET", "/metrics")), "health.metrics"),
    "GET /problems/<slug:code>": Case(always(lambda world: Call("GET", "/problems/not_found"))),
    "GET /api/schema": Case(always(lambda world: Call("GET", "/api/schema"))),
    "GET /api/docs": Case(always(lambda world: Call("GET", "/api/docs"))),
}
