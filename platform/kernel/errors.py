"""Domain errors: types with a code, a sentence and data. They know no HTTP.

:mod:`kernel.http.problem` maps each kind to one status, in one table. A rule raises the kind that
says what went wrong, never a status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field: a JSON pointer (RFC 6901), a stable code, a sentence, a remedy."""

    pointer: str
    code: str
    message: str
    fix: str = ""


class DomainError(Exception):
    """A rule said no. ``code`` is stable snake_case, ``detail`` a sentence for people.

    ``errors`` name faulty fields, ``extensions`` are further members of the problem document,
    ``retry_after`` is in whole seconds where trying again later can help.
    """

    code = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        pointer: str | None = None,
        errors: Sequence[FieldError] = (),
        extensions: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors: tuple[FieldError, ...] = tuple(errors)
        if pointer is not None:
            self.errors = (*self.errors, FieldError(pointer, self.code, detail))
        self.extensions: dict[str, Any] = dict(extensions or {})
        self.retry_after = retry_after


class Invalid(DomainError):  # noqa: N818 - the name is the outcome, as in RFC 9457 titles
    """The input breaks a rule of form or meaning."""

    code = "invalid"


class Unauthenticated(DomainError):  # noqa: N818
    """No credential, or one that admits nobody."""

    code = "unauthenticated"


class Forbidden(DomainError):  # noqa: N818
    """The caller may know of the thing, and may not do this."""

    code = "forbidden"


class NotFound(DomainError):  # noqa: N818
    """No such thing, or none that the caller may know of: the two look the same."""

    code = "not_found"

    def __init__(self, detail: str = "There is no such resource.", **facts: Any) -> None:
        super().__init__(detail, **facts)


class Conflict(DomainError):  # noqa: N818
    """The state of the thing does not allow this now."""

    code = "conflict"


class Gone(DomainError):  # noqa: N818
    """The thing was there and has ended."""

    code = "gone"


class PreconditionFailed(DomainError):  # noqa: N818
    """A condition that the request rests on does not hold."""

    code = "precondition_failed"


class Unprocessable(DomainError):  # noqa: N818
    """An idempotency key came back with another body."""

    code = "unprocessable"


class RateLimited(DomainError):  # noqa: N818
    """A short limit is used up; ``retry_after`` says for how long."""

    code = "rate_limited"


class QuotaExceeded(DomainError):  # noqa: N818
    """A quota of a calendar window is used up."""

    code = "quota_exceeded"


class TooLarge(DomainError):  # noqa: N818
    """The body, a batch or a page is beyond the stated size."""

    code = "too_large"


class HeadTooLarge(DomainError):  # noqa: N818
    """Address and header fields together are longer than the stated size."""

    code = "head_too_large"


class UnsupportedMediaType(DomainError):  # noqa: N818
    """The body's content type is none of those that the route reads."""

    code = "unsupported_media_type"


class MethodNotAllowed(DomainError):  # noqa: N818
    """The route does not know this method."""

    code = "method_not_allowed"


class NotAcceptable(DomainError):  # noqa: N818
    """No representation matches the Accept header."""

    code = "not_acceptable"


class Unavailable(DomainError):  # noqa: N818
    """A part that a decision needs does not answer: never decided without it."""

    code = "unavailable"
