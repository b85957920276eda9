"""The one middleware of the API path: the exchange around Django, and what passes no door."""

import io
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from kernel.errors import HeadTooLarge, Invalid, TooLarge
from kernel.http import context, problem
from kernel.http.exchange import Exchange
from kernel.http.soundness import check_address, check_head


class RequestMiddleware:
    """Wrap every request. Nothing here touches the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._exchange = Exchange()
        self._largest = settings.INNKEEPER_MAX_BODY_BYTES

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        meta = request.META
        facts = self._exchange.begin(meta, request.method or "", request.path_info)
        try:
            response = self._answer(request)
            match = request.resolver_match
            facts.route = match.route if match else ""
            if isinstance(response, HttpResponse):
                self._exchange.finish(facts, meta.get("HTTP_ACCEPT_ENCODING", ""), response)
            else:
                self._exchange.conclude(facts, response.status_code, response.headers)
            return response
        finally:
            context.leave()

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        try:
            check_head(request.META)
            check_address(request.path_info, request.META.get("QUERY_STRING", ""))
        except (HeadTooLarge, Invalid) as refused:
            return problem.response(refused)
        if not self._fits(request):
            return problem.response(TooLarge(f"A request body has {self._largest} bytes at most."))
        return self._get_response(request)

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
