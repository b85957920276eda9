"""The one middleware of the API path: ids, trace, body limit, headers, gzip, log line, hooks."""

import gzip
import io
import time
from collections.abc import Callable

import orjson
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from kernel import authz
from kernel.errors import TooLarge
from kernel.http import context, problem
from kernel.http.client import client_ip
from kernel.http.context import RequestContext, request_id_from
from kernel.http.hooks import hooks

GZIP_ABOVE_BYTES = 1024
_GZIP_LEVEL = 1
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class RequestMiddleware:
    """Wrap every request. Nothing here touches the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._sla = str(settings.INNKEEPER_SLA_TARGET_MS)
        self._largest = settings.INNKEEPER_MAX_BODY_BYTES
        self._secure = settings.INNKEEPER_PUBLIC_URL.startswith("https://")
        self._log = structlog.wrap_logger(
            structlog.get_config()["logger_factory"](),
            processors=[lambda _, __, event: orjson.dumps(event)],
            wrapper_class=structlog.BoundLoggerBase,
        )

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        facts = self._begin(request)
        context.enter(facts)
        authz.set_principal(authz.ANONYMOUS)
        try:
            if self._fits(request):
                response = self._get_response(request)
            else:
                response = problem.response(
                    TooLarge(f"A request body has {self._largest} bytes at most.")
                )
            match = request.resolver_match
            facts.route = match.route if match else ""
            self._finish(request, facts, response)
            return response
        finally:
            context.leave()

    def _begin(self, request: HttpRequest) -> RequestContext:
        meta = request.META
        facts = RequestContext(
            request_id_from(meta.get("HTTP_X_REQUEST_ID")), request.method or "", request.path_info
        )
        facts.continue_trace(meta.get("HTTP_TRACEPARENT", ""))
        facts.client_ip = client_ip(
            meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
        )
        facts.user_agent = meta.get("HTTP_USER_AGENT", "")[:256]
        return facts

    def _fits(self, request: HttpRequest) -> bool:
        meta = request.META
        if meta.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            # Django reads no body without a Content-Length: read it here, with a cap.
            body = meta["wsgi.input"].read(self._largest + 1)
            meta["CONTENT_LENGTH"] = str(len(body))
            request._stream = io.BytesIO(body)
            return len(body) <= self._largest
        length = meta.get("CONTENT_LENGTH") or "0"
        return not length.isdigit() or int(length) <= self._largest

    def _finish(
        self, request: HttpRequest, facts: RequestContext, response: HttpResponseBase
    ) -> None:
        headers = response.headers
        headers["X-Request-Id"] = facts.request_id
        headers["traceresponse"] = facts.traceparent()
        headers["X-SLA-Target-Ms"] = self._sla
        for name, value in _SECURITY_HEADERS:
            headers[name] = value
        if "Content-Security-Policy" not in headers:
            headers["Content-Security-Policy"] = _API_POLICY
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if self._secure:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        if facts.rate_headers:
            for name, value in facts.rate_headers.items():
                headers[name] = value
        if isinstance(response, HttpResponse):
            _compress(request, facts, response)
            facts.bytes_out = len(response.content)
        facts.status = response.status_code
        total = facts.elapsed_ms()
        stages = [f"{name};dur={spent:.2f}" for name, spent in facts.stages.items()]
        headers["Server-Timing"] = ", ".join([*stages, f"total;dur={total:.2f}"])
        for listener in hooks.finished:
            listener(facts)
        self._line(facts, total)

    def _line(self, facts: RequestContext, total: float) -> None:
        """Write the canonical log line: facts only, no path, no query, no body, no header value."""
        self._log.info(
            event="request",
            level="info",
            timestamp=time.time(),
            request_id=facts.request_id,
            trace_id=facts.trace_id,
            method=facts.method,
            route=facts.route,
            status=facts.status,
            duration_ms=round(total, 3),
            bytes=facts.bytes_out,
            principal=facts.principal_kind,
            principal_id=facts.principal_id,
            tenant=str(facts.tenant_id or ""),
            code=facts.error_code,
            **{f"{name}_ms": round(spent, 3) for name, spent in facts.stages.items()},
        )


def _compress(request: HttpRequest, facts: RequestContext, response: HttpResponse) -> None:
    """Compress larger bodies, never those that carry a secret (BREACH)."""
    if (
        len(response.content) <= GZIP_ABOVE_BYTES
        or facts.secret
        or response.has_header("Content-Encoding")
    ):
        return
    response.headers["Vary"] = "Accept-Encoding"
    if "gzip" not in request.META.get("HTTP_ACCEPT_ENCODING", ""):
        return
    response.content = gzip.compress(response.content, _GZIP_LEVEL, mtime=0)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.content))
