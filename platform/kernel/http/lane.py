"""The fast lane: hot endpoints served straight from WSGI, past Django's handler.

Django's handler, resolver, signals and response cost more than the gate's whole decision (measured:
docs/adr/0084). Routes with a fixed path, or whose variable segments are ``<str:name>``, may be
mounted here as well; they stay mounted in the URL configuration, which documents and tests them,
and both ways call the same code.
"""

import re
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import close_old_connections
from django.http import QueryDict

from kernel import db
from kernel.errors import HeadTooLarge, Invalid, TooLarge
from kernel.gate import wire
from kernel.http import context, problem
from kernel.http.exchange import Answer, Exchange
from kernel.http.hot import HotEndpoint, LeanResponse
from kernel.http.soundness import check_address, check_head

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
_VARIABLE: Final = re.compile(r"<str:(\w+)>")
_REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class LaneRequest:
    """As much of Django's HttpRequest as hot endpoints use."""

    __slots__ = ("META", "_body", "_left", "_method", "path_info")

    def __init__(self, environ: Environ) -> None:
        self.META = environ
        self._method: str = environ["REQUEST_METHOD"]
        self.path_info: str = environ["PATH_INFO"]
        self._body: bytes | None = None
        self._left: int | None = None

    @property
    def method(self) -> str:
        """Give the method in capitals."""
        return self._method

    @property
    def body(self) -> bytes:
        """Read the body once, up to the deployment's limit.

        Raises:
            kernel.errors.TooLarge: it is longer.
        """
        if self._body is None:
            largest = settings.INNKEEPER_MAX_BODY_BYTES
            length = self.META.get("CONTENT_LENGTH") or ""
            if length.isdigit() and int(length) > largest:
                raise TooLarge(f"A request body has {largest} bytes at most.")
            wanted = int(length) if length.isdigit() else largest + 1
            self._body = self.META["wsgi.input"].read(wanted)
            if len(self._body) > largest:
                raise TooLarge(f"A request body has {largest} bytes at most.")
        return self._body

    def read(self, size: int, /) -> bytes:
        """Read on in a body of any length; nothing is its end."""
        if self._left is None:
            length = self.META.get("CONTENT_LENGTH") or ""
            self._left = int(length) if length.isdigit() else sys.maxsize
        piece: bytes = self.META["wsgi.input"].read(min(size, self._left))
        self._left -= len(piece)
        return piece

    @property
    def GET(self) -> QueryDict:  # noqa: N802 - Django's name
        """Parse the query string.

        Raises:
            kernel.errors.Invalid: it holds what no text can keep.
        """
        query: str = self.META.get("QUERY_STRING", "")
        check_address(self.path_info, query)
        return QueryDict(query)

    @property
    def content_type(self) -> str:
        """Give the media type without parameters."""
        text: str = self.META.get("CONTENT_TYPE", "")
        return text.partition(";")[0].strip().lower()


class FastLane:
    """A WSGI application that serves some routes itself and hands on all others."""

    def __init__(self, inner: Application, routes: dict[str, type[HotEndpoint]]) -> None:
        self._inner = inner
        self._routes = {
            f"/{path}": (path, endpoint)
            for path, endpoint in routes.items()
            if not _VARIABLE.search(path)
        }
        self._patterns = [
            (re.compile("/" + _VARIABLE.sub(r"(?P<\1>[^/]+)", path)), path, endpoint)
            for path, endpoint in routes.items()
            if _VARIABLE.search(path)
        ]
        self._exchange = Exchange()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path = environ["PATH_INFO"]
        found = self._routes.get(path)
        named: dict[str, str] = {}
        if found is None:
            found, named = self._matched(path)
        try:
            if found is None:
                return self._inner(environ, start_response)
            return self._serve(environ, start_response, *found, named)
        finally:
            wire.release()

    def _matched(self, path: str) -> tuple[tuple[str, type[HotEndpoint]] | None, dict[str, str]]:
        """Find the route with variables that a path is on, and their values.

        A path that is not plain ASCII is Django's: it knows how to decode it.
        """
        if path.isascii():
            for pattern, route, endpoint in self._patterns:
                match = pattern.fullmatch(path)
                if match is not None:
                    return (route, endpoint), match.groupdict()
        return None, {}

    def _serve(
        self,
        environ: Environ,
        start_response: StartResponse,
        route: str,
        endpoint: type[HotEndpoint],
        named: dict[str, str],
    ) -> Iterable[bytes]:
        request = LaneRequest(environ)
        facts = self._exchange.begin(environ, request.method, request.path_info)
        facts.route = route
        body: Iterable[bytes]
        try:
            answer = self._answer(endpoint, request, named)
            if isinstance(answer, LeanResponse) and answer.file is not None:
                self._exchange.conclude(facts, answer.status_code, answer.headers)
                body = answer.pieces()
            else:
                self._exchange.finish(facts, environ.get("HTTP_ACCEPT_ENCODING", ""), answer)
                body = [answer.content]
        finally:
            context.leave()
            if db.touched():
                close_old_connections()
        start_response(_REASONS[answer.status_code], list(answer.headers.items()))
        return body

    def _answer(
        self, endpoint: type[HotEndpoint], request: LaneRequest, named: dict[str, str]
    ) -> Answer:
        try:
            check_head(request.META)
            if named:
                check_address(request.path_info, "")
            return endpoint.answer(request, **named)
        except (HeadTooLarge, Invalid) as refused:
            return problem.response(refused)
        except Exception:  # noqa: BLE001 - the HTTP boundary, as in Django's own handler
            return problem.fault(request.path_info)
