"""Problem documents (RFC 9457): one table from kinds of errors to answers.

``type`` resolves to a page of this deployment, ``code`` is stable, ``errors`` hold JSON pointers,
``instance`` names the request and nothing of its target: a foreign id and an unknown id give the
same bytes but for the request id.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    ValidationError,
)
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import requires_csrf_token
from psycopg.errors import UniqueViolation
from rest_framework import exceptions as drf
from rest_framework.response import Response

from kernel import errors
from kernel.errors import DomainError, FieldError
from kernel.http import context

CONTENT_TYPE = "application/problem+json"
_log = structlog.get_logger("innkeeper.http")

STATUS: dict[type[DomainError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Unprocessable: 422,
    errors.RateLimited: 429,
    errors.HeadTooLarge: 431,
    errors.QuotaExceeded: 429,
    errors.Unavailable: 503,
}
TITLES = {
    "rate_limited": "Too many requests at once",
    "quota_exceeded": "The quota of this period is used up",
    "tenant_suspended": "The tenant is suspended",
    "unavailable": "A needed part does not answer",
}


def status_of(error: DomainError) -> int:
    """Look up the HTTP status of an error's kind; unknown kinds are faults of the program."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def document(error: DomainError, status: int | None = None) -> dict[str, Any]:
    """Write the problem document of an error."""
    status = status or status_of(error)
    running = context.current()
    request_id = running.request_id if running else ""
    body: dict[str, Any] = {
        "type": f"{settings.INNKEEPER_PUBLIC_URL}/problems/{error.code}",
        "title": TITLES.get(error.code) or _title(error.code, status),
        "status": status,
        "detail": error.detail,
        "instance": f"urn:innkeeper:request:{request_id}",
        "code": error.code,
        "request_id": request_id,
    }
    extensions = dict(error.extensions)
    if error.errors:
        body["errors"] = [_field(fault) for fault in error.errors]
        # The member that OpenMeter's clients read.
        extensions["validationErrors"] = [
            {"code": fault.code, "message": fault.message} for fault in error.errors
        ]
    if extensions:
        body["extensions"] = extensions
    return body


def response(error: DomainError) -> HttpResponse:
    """Answer with the problem document of an error, for views outside DRF."""
    status = status_of(error)
    content = orjson.dumps(document(error, status), option=orjson.OPT_UTC_Z)
    answer = HttpResponse(content, CONTENT_TYPE, status)
    for name, value in _headers(error, status).items():
        answer.headers[name] = value
    note(error)
    return answer


def note(error: DomainError) -> None:
    """Put the error's code into the running request's facts, for the log line."""
    running = context.current()
    if running is not None:
        running.error_code = error.code


def exception_handler(raised: Exception, _: Mapping[str, Any]) -> Response | None:
    """Turn whatever a DRF view raised into a problem; None for faults of the program (500)."""
    error = translate(raised)
    if error is None:
        return None
    status = status_of(error)
    note(error)
    answer = Response(document(error, status), status, headers=_headers(error, status))
    answer.content_type = CONTENT_TYPE
    answer.exception = True
    return answer


def translate(raised: BaseException) -> DomainError | None:
    """Name the domain error that a framework's exception means; None for anything unexpected."""
    if isinstance(raised, DomainError):
        return raised
    if isinstance(raised, drf.ValidationError):
        faults = tuple(flatten(raised.detail, ""))
        return errors.Invalid("The input has faults; see errors.", errors=faults)
    if isinstance(raised, drf.APIException):
        return _of_drf(raised)
    if isinstance(raised, Http404):
        return errors.NotFound()
    if isinstance(raised, PermissionDenied):
        return errors.Forbidden("This is not permitted.")
    if isinstance(raised, RequestDataTooBig | TooManyFieldsSent):
        return errors.TooLarge("The request is larger than this server accepts.")
    if isinstance(raised, UnreadablePostError | RawPostDataException | MultiPartParserError):
        return errors.Invalid("The request body could not be read.", code="malformed_body")
    if isinstance(raised, SuspiciousOperation | ValidationError):
        return errors.Invalid("The request is malformed.", code="malformed_request")
    return _of_database(raised)


def flatten(detail: Any, pointer: str) -> list[FieldError]:
    """Flatten DRF's nested error detail into faults with JSON pointers."""
    if isinstance(detail, Mapping):
        return [
            fault
            for name, inner in detail.items()
            for fault in flatten(
                inner, pointer if name == "non_field_errors" else _at(pointer, name)
            )
        ]
    if isinstance(detail, list | tuple):
        return [
            fault
            for index, inner in enumerate(detail)
            for fault in flatten(inner, pointer if isinstance(inner, str) else _at(pointer, index))
        ]
    code = getattr(detail, "code", None) or "invalid"
    return [FieldError(pointer, str(code), str(detail))]


def _at(pointer: str, name: object) -> str:
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


def _of_database(raised: BaseException) -> DomainError | None:
    """Tell a database that does not answer, and a race that only a unique index has seen."""
    if isinstance(raised, OperationalError | InterfaceError):
        _log.error("database.unavailable", error=str(raised).strip())
        return errors.Unavailable("The database does not answer. Try again.", retry_after=1)
    if isinstance(raised, IntegrityError) and isinstance(raised.__cause__, UniqueViolation):
        _log.warning("database.conflict", constraint=raised.__cause__.diag.constraint_name)
        return errors.Conflict("Somebody did the same at the same moment: look, then try again.")
    return None


def _of_drf(raised: drf.APIException) -> DomainError:
    detail = str(raised.detail)
    if isinstance(raised, drf.ParseError):
        return errors.Invalid(detail, code="malformed_body")
    if isinstance(raised, drf.MethodNotAllowed):
        return errors.MethodNotAllowed(detail)
    if isinstance(raised, drf.NotAcceptable):
        return errors.NotAcceptable(detail)
    if isinstance(raised, drf.UnsupportedMediaType):
        return errors.UnsupportedMediaType(detail)
    if isinstance(raised, drf.NotAuthenticated | drf.AuthenticationFailed):
        return errors.Unauthenticated(detail)
    if isinstance(raised, drf.PermissionDenied):
        return errors.Forbidden(detail)
    if isinstance(raised, drf.NotFound):
        return errors.NotFound()
    return errors.Invalid(detail)


def _field(fault: FieldError) -> dict[str, str]:
    body = {"pointer": fault.pointer, "code": fault.code, "message": fault.message}
    if fault.fix:
        body["fix"] = fault.fix
    return body


def _title(code: str, status: int) -> str:
    phrase = HTTPStatus(status).phrase
    words = code.replace("_", " ").capitalize()
    return words if code else phrase


def _headers(error: DomainError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="innkeeper"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(error.retry_after, 1))
    allowed = error.extensions.get("allowed")
    if status == HTTPStatus.METHOD_NOT_ALLOWED and allowed:
        headers["Allow"] = ", ".join(allowed)
    return headers


# --- Django's own error views: the last resort of requests that reach no endpoint ---


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400 for what Django itself refuses."""
    error = translate(exception) if exception else None
    return response(error or errors.Invalid("The request is malformed.", code="malformed_request"))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403 for what Django itself refuses."""
    return response(errors.Forbidden("This is not permitted."))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404 where no route matches."""
    return response(errors.NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 for a fault of the program: the detail stands in the log under the request id."""
    return response(InternalError("Something failed on our side; the request id finds it."))


def fault(route: str) -> HttpResponse:
    """Log the exception being handled, and answer 500 for it: for code outside Django's handler."""
    running = context.current()
    _log.exception("request.failed", route=route, request_id=running.request_id if running else "")
    return response(InternalError("Something failed on our side; the request id finds it."))


class InternalError(DomainError):
    """A fault of the program."""

    code = "internal_error"


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a staff form whose token is missing or stale."""
    return response(errors.Forbidden("The form has expired; load it again.", code="csrf_failed"))
