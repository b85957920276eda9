"""Hot endpoints: lean Django views that share declarations, errors, documents and tests with DRF.

A hot endpoint declares ``access`` and documents its methods like any Endpoint, and is served by one
class method without DRF's machinery, on the gate's own connection.
"""

from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.csrf import csrf_exempt

from kernel.authz import Principal
from kernel.errors import (
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    Unauthenticated,
    UnsupportedMediaType,
)
from kernel.gate.wire import HotConnection, hot
from kernel.http import problem
from kernel.http.admittance import admit_request, facts_of_request
from kernel.http.endpoint import Endpoint, tell_denied
from kernel.http.soundness import check_json

S = TypeVar("S")
JSON = "application/json"
PIECE = 64 * 1024
"""Bytes that are read or written at once of a body that is streamed."""


class LeanResponse:
    """A whole answer without Django's machinery: status, header fields, body.

    ``file``, from where it stands to its end, is the body in place of ``content`` where that would
    be too large to hold; whoever sends it closes it.
    """

    __slots__ = ("content", "file", "headers", "status_code")

    def __init__(
        self, content: bytes = b"", status: int = 200, content_type: str | None = JSON
    ) -> None:
        self.status_code = status
        self.content = content
        self.file: IO[bytes] | None = None
        self.headers: dict[str, str] = {"Content-Type": content_type} if content_type else {}

    def pieces(self) -> Iterator[bytes]:
        """Give the body in pieces."""
        if self.file is None:
            yield self.content
            return
        with self.file as file:
            while piece := file.read(PIECE):
                yield piece


class HotRequest(Protocol):
    """What hot endpoints use of a request: Django's HttpRequest, or the fast lane's."""

    META: dict[str, Any]
    path_info: str

    @property
    def method(self) -> str | None:
        """Give the method in capitals."""

    @property
    def body(self) -> bytes:
        """Give the whole body."""

    def read(self, size: int, /) -> bytes:
        """Read on in a body of any length, in place of ``body``; nothing is its end."""

    @property
    def GET(self) -> QueryDict:  # noqa: N802 - Django's name
        """Give the query."""


class HotEndpoint(Endpoint):
    """An Endpoint that is served by :meth:`serve`; its verb methods only document."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:  # type: ignore[override]  # lean
        """Make the lean view, recognisable to the schema generator and the route walkers."""

        def view(request: HttpRequest, **kwargs: str) -> HttpResponseBase:
            answer = cls.answer(request, **kwargs)
            if isinstance(answer, LeanResponse):
                return HttpResponse(
                    b"".join(answer.pieces()), status=answer.status_code, headers=answer.headers
                )
            return answer

        view.cls = cls  # type: ignore[attr-defined]  # what DRF's own as_view sets
        view.initkwargs = initkwargs  # type: ignore[attr-defined]  # as above
        return csrf_exempt(view)

    @classmethod
    def answer(cls, request: HotRequest, **kwargs: str) -> LeanResponse | HttpResponse:
        """Serve the request, domain errors as problem documents; faults of the program raise."""
        try:
            cls.access_of(request.method or "")
            return cls.serve(request, **kwargs)
        except DomainError as refused:
            if isinstance(refused, Forbidden | Unauthenticated):
                tell_denied(refused)
            return problem.response(refused)
        except Exception as raised:
            error = problem.translate(raised)
            if error is None:
                raise
            return problem.response(error)

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse | HttpResponse:
        """Answer the request. Domain errors become problem documents."""
        raise TypeError(f"{cls.__qualname__} does not serve")

    @classmethod
    def admit(cls, request: HotRequest) -> tuple[Principal, HotConnection]:
        """Let the gate decide on the request's hot connection, which then has the tenant set.

        Raises:
            kernel.errors.DomainError: refused.
        """
        access = cls.access_of(request.method or "")
        facts_of_request().secret = access.secret
        connection = hot()
        return admit_request(request, access, connection), connection


def decode(decoder: msgspec.json.Decoder[S], body: bytes) -> S:
    """Decode and validate a JSON body.

    Raises:
        kernel.errors.Invalid: no JSON, or a field breaks the type; the pointer names it. Or it
            holds what nothing can keep.
    """
    try:
        read = decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        pointer = path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise Invalid(
            "The input has faults; see errors.", errors=[FieldError(pointer, "invalid", message)]
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is no JSON: {error}", code="malformed_body") from error
    except RecursionError as error:
        raise Invalid("The body is nested too deep.", code="malformed_body") from error
    check_json(body)
    return read


def json_body(request: HotRequest) -> bytes:
    """Give the body of a request that says JSON, or says nothing of its media type.

    Raises:
        kernel.errors.UnsupportedMediaType: it says something else.
    """
    said = request.META.get("CONTENT_TYPE", "")
    if said != JSON and said.partition(";")[0].strip().lower() not in ("", JSON):
        raise UnsupportedMediaType(f'Unsupported media type "{said}" in request.')
    return request.body


def json_response(content: bytes, status: int = 200) -> LeanResponse:
    """Answer with encoded JSON."""
    return LeanResponse(content, status)
