"""The running request: its ids, timings and facts, for logs, headers, audit and usage."""

import re
import time
from contextvars import ContextVar
from uuid import UUID

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class RequestContext:
    """Facts of one request; mutable, because they are learnt on the way.

    ``route`` is the URL pattern (never the path: bounded cardinality), ``stages`` are named
    durations in ms for Server-Timing. ``principal_kind`` and ``principal_id`` are opaque ids.
    """

    __slots__ = (
        "audited",
        "bytes_out",
        "client_ip",
        "error_code",
        "flags",
        "idempotent_replay",
        "key_id",
        "method",
        "parent_span",
        "path",
        "principal_id",
        "principal_kind",
        "rate_headers",
        "request_id",
        "route",
        "secret",
        "span_id",
        "stages",
        "started_ns",
        "status",
        "tenant_id",
        "trace_id",
        "user_agent",
    )

    def __init__(self, request_id: str, method: str = "", path: str = "") -> None:
        self.request_id = request_id
        self.method = method
        self.path = path
        self.route = ""
        self.started_ns = time.perf_counter_ns()
        self.stages: dict[str, float] = {}
        self.status = 0
        self.bytes_out = 0
        self.error_code = ""
        self.tenant_id: UUID | None = None
        self.key_id: UUID | None = None
        self.principal_kind = ""
        self.principal_id = ""
        self.client_ip: str | None = None
        self.user_agent = ""
        self.rate_headers: dict[str, str] | None = None
        self.trace_id = ""
        self.parent_span = ""
        self.span_id = ""
        self.flags = "00"
        self.idempotent_replay = False
        self.audited = False
        self.secret = False

    def elapsed_ms(self) -> float:
        """Give the time since the request began, in ms."""
        return (time.perf_counter_ns() - self.started_ns) / 1e6

    def stage(self, name: str, started_ns: int) -> None:
        """Note that the named stage began at ``started_ns`` (perf_counter) and has ended now."""
        self.stages[name] = self.stages.get(name, 0.0) + (time.perf_counter_ns() - started_ns) / 1e6

    def continue_trace(self, traceparent: str, random: str) -> None:
        """Take part in the caller's trace (W3C Trace Context, level 1), or begin one.

        ``random`` holds 48 fresh hexadecimal digits at least, from its 25th on.
        """
        match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        if match and match[1] != _NO_TRACE and match[2] != _NO_SPAN:
            self.trace_id, self.parent_span, self.flags = match.groups()
        else:
            self.trace_id = random[24:56]
        self.span_id = random[56:72]

    def traceparent(self) -> str:
        """Write the header that carries this request's span onward."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def request_id_from(header: str | None, random: str) -> str:
    """Take the caller's request id where it is well formed, else make one of 96 random bits."""
    if header and _REQUEST_ID.fullmatch(header):
        return header
    return "req_" + random[:24]


_current: ContextVar[RequestContext | None] = ContextVar("innkeeper_request", default=None)


def current() -> RequestContext | None:
    """Give the running request's context; None outside a request."""
    return _current.get()


def enter(context: RequestContext) -> None:
    """Make ``context`` the running one for the rest of this execution context."""
    _current.set(context)


def leave() -> None:
    """Forget the running request."""
    _current.set(None)
