"""What every exchange has around its answer: ids before; headers, gzip, log and hooks after.

One implementation for both ways into the system: Django's middleware and the fast lane.
"""

import gzip
import os
import time
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
import structlog
from django.conf import settings

from kernel import authz
from kernel.http import context
from kernel.http.client import client_ip
from kernel.http.context import RequestContext, request_id_from
from kernel.http.hooks import hooks

GZIP_ABOVE_BYTES = 1024
_GZIP_LEVEL = 1
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class Answer(Protocol):
    """What an answer offers, Django's HttpResponse for one."""

    status_code: int
    content: bytes
    headers: Any


class Exchange:
    """The fixed facts of this deployment, and the two halves of every exchange."""

    def __init__(self) -> None:
        # One encoded line a request goes straight to the log's stream, past the processor chain.
        self._write = structlog.get_config()["logger_factory"]().msg
        self._fixed = {
            "X-SLA-Target-Ms": str(settings.INNKEEPER_SLA_TARGET_MS),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if settings.INNKEEPER_PUBLIC_URL.startswith("https://"):
            self._fixed["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    def begin(self, environ: Mapping[str, Any], method: str, path: str) -> RequestContext:
        """Learn what the request's headers say and make it the running one, for nobody so far."""
        random = os.urandom(36).hex()
        facts = RequestContext(
            request_id_from(environ.get("HTTP_X_REQUEST_ID"), random), method, path
        )
        facts.continue_trace(environ.get("HTTP_TRACEPARENT", ""), random)
        facts.client_ip = client_ip(
            environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        )
        facts.user_agent = environ.get("HTTP_USER_AGENT", "")
        context.enter(facts)
        authz.set_principal(authz.ANONYMOUS)
        return facts

    def finish(self, facts: RequestContext, accept_encoding: str, answer: Answer) -> None:
        """Complete an answer whose body is whole; write the log line; tell the hooks."""
        compress(accept_encoding, facts, answer)
        facts.bytes_out = len(answer.content)
        answer.headers["Content-Length"] = str(facts.bytes_out)
        self.conclude(facts, answer.status_code, answer.headers)

    def conclude(self, facts: RequestContext, status: int, headers: Any) -> None:
        """Do the same for an answer whose body is a stream: all but its length and encoding."""
        facts.status = status
        for name, value in self._fixed.items():
            headers.setdefault(name, value)
        headers["X-Request-Id"] = facts.request_id
        headers["traceresponse"] = facts.traceparent()
        headers.setdefault("Content-Security-Policy", _API_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        if facts.rate_headers:
            for name, value in facts.rate_headers.items():
                headers[name] = value
        total = facts.elapsed_ms()
        stages = [f"{name};dur={spent:.2f}" for name, spent in facts.stages.items()]
        headers["Server-Timing"] = ", ".join([*stages, f"total;dur={total:.2f}"])
        for listener in hooks.finished:
            listener(facts)
        self._write(orjson.dumps(log_line(facts, total)))


def log_line(facts: RequestContext, total_ms: float) -> dict[str, Any]:
    """Write the canonical line: facts only, no path, no query, no body, no header value."""
    line = {
        "event": "request",
        "level": "info",
        "timestamp": time.time(),
        "request_id": facts.request_id,
        "trace_id": facts.trace_id,
        "method": facts.method,
        "route": facts.route,
        "status": facts.status,
        "duration_ms": round(total_ms, 3),
        "bytes": facts.bytes_out,
        "principal": facts.principal_kind,
        "principal_id": facts.principal_id,
        "tenant": facts.tenant_id,
        "code": facts.error_code,
    }
    for name, spent in facts.stages.items():
        line[f"{name}_ms"] = round(spent, 3)
    return line


def compress(accept_encoding: str, facts: RequestContext, answer: Answer) -> None:
    """Compress a larger body, never one that carries a secret (BREACH)."""
    if (
        len(answer.content) <= GZIP_ABOVE_BYTES
        or facts.secret
        or "Content-Encoding" in answer.headers
    ):
        return
    answer.headers["Vary"] = "Accept-Encoding"
    if "gzip" in accept_encoding:
        answer.content = gzip.compress(answer.content, _GZIP_LEVEL, mtime=0)
        answer.headers["Content-Encoding"] = "gzip"
