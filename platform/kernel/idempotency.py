"""Idempotency-Key: the record of a POST stands in the transaction of its effect.

After draft-ietf-httpapi-idempotency-key-header-07 and Stripe's habits. A key is scoped by tenant,
the caller's lineage (so that a rotated key still replays), method and route. Either effect and
record commit together or neither does: a crash leaves no half-done key behind. Refusals roll back
and are not recorded; repeating them decides anew. Neither are answers that are no JSON.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import db, sealing
from kernel.authz import Principal
from kernel.errors import Conflict, Invalid, Unprocessable
from kernel.gate.wire import Call, Statement
from kernel.json_bytes import dumps

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_LENGTH = 255
KEEP_HOURS = 24
_PURPOSE = "idempotent replies"
_JSON = "application/json"
_DECIDED_ANEW = frozenset({401, 403, 409, 429, *range(500, 600)})
_READ = """
SELECT fingerprint, status, body FROM kernel_idempotency
 WHERE tenant_id IS NOT DISTINCT FROM %s AND scope = %s
   AND created_at > clock_timestamp() - make_interval(hours => %s)
"""
_WRITE = """
INSERT INTO kernel_idempotency (tenant_id, scope, fingerprint, status, body)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, scope) DO UPDATE
   SET fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, body = EXCLUDED.body,
       created_at = clock_timestamp()
"""
_KEEP = Statement(
    "idempotency_keep",
    """
INSERT INTO kernel_idempotency (tenant_id, scope, fingerprint, status, body)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::smallint[], $5::bytea[])
ON CONFLICT (tenant_id, scope) DO UPDATE
   SET fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, body = EXCLUDED.body,
       created_at = clock_timestamp()
""",
    parameters=5,
)
_PURGE = """
DELETE FROM kernel_idempotency WHERE created_at < clock_timestamp() - make_interval(hours => %s)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One use of an idempotency key: where it counts, and what was asked with it.

    ``owner`` is the tenant whose record it is, None for the operator's own.
    """

    owner: UUID | None
    scope: bytes
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """Give the number of the advisory lock that is held while it runs."""
        return int.from_bytes(self.scope[:8], "big", signed=True)

    def replay(self, fingerprint: bytes, body: bytes) -> bytes:
        """Give the content of what the key answered before.

        Raises:
            kernel.errors.Unprocessable: the key was used with another request.
        """
        if fingerprint != self.fingerprint:
            raise Unprocessable(
                "This Idempotency-Key was used with another request.", code="idempotency_key_reused"
            )
        return sealing.open_sealed(body, _PURPOSE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an attempt is to be answered when it is repeated."""

    attempt: Attempt
    status: int
    content: bytes


def checked(key: str) -> str:
    """Give a key as it is.

    Raises:
        kernel.errors.Invalid: it is empty or longer than 255 characters.
    """
    if not 0 < len(key) <= MAX_LENGTH:
        raise Invalid(f"{HEADER} has 1 to {MAX_LENGTH} characters.", code="invalid_idempotency_key")
    return key


def attempt_of(
    key: str,
    principal: Principal,
    *,
    owner: UUID | None,
    method: str,
    route: str,
    path: str,
    body: bytes,
) -> Attempt:
    """Say what a key stands for: of this caller, on this route, asked with this path and body.

    Raises:
        kernel.errors.Invalid: see :func:`checked`.
    """
    caller = str(principal.lineage or principal.id or "")
    scope = "\0".join([caller, method, route, checked(key)])
    asked = hashlib.sha256(f"{path}\0".encode() + body)
    return Attempt(owner, hashlib.sha256(scope.encode()).digest(), asked.digest())


def running() -> Conflict:
    """Make the error of a key whose first request has not ended."""
    return Conflict(
        "A request with this Idempotency-Key is still running.",
        code="idempotency_in_progress",
        retry_after=1,
    )


def keeping(replies: Sequence[Reply]) -> Call:
    """Give the statement that keeps what was answered, for the transaction of the effects."""
    return _KEEP, [
        _array([reply.attempt.owner for reply in replies]),
        _array([f"\\\\x{reply.attempt.scope.hex()}" for reply in replies]),
        _array([f"\\\\x{reply.attempt.fingerprint.hex()}" for reply in replies]),
        _array([reply.status for reply in replies]),
        _array([f"\\\\x{sealing.seal(reply.content, _PURPOSE).hex()}" for reply in replies]),
    ]


def _array(values: Sequence[object]) -> bytes:
    """Write an array literal of values that need no quotes beyond a backslash's."""
    texts = ["NULL" if value is None else f'"{value}"' for value in values]
    return f"{{{','.join(texts)}}}".encode()


def run(
    request: Request, principal: Principal, effect: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """Run ``effect`` inside the open transaction, or replay what its key answered before.

    Raises:
        kernel.errors.Invalid: the key is empty or longer than 255 characters.
        kernel.errors.Conflict: a request with the key is still running.
        kernel.errors.Unprocessable: the key was used with another request.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return effect()
    attempt = _attempt(request, principal, key)
    _lock(attempt)
    stored = _stored(attempt)
    if stored is not None:
        return stored
    answer = effect()
    if answer.status_code not in _DECIDED_ANEW and _is_json(request, answer):
        _write(Reply(attempt, answer.status_code, _content(answer)))
    return answer


def purge() -> int:
    """Delete records older than a day; give their number. Runs as staff."""
    with db.cursor() as cursor:
        cursor.execute(_PURGE, [KEEP_HOURS])
        return int(cursor.rowcount)


def _attempt(request: Request, principal: Principal, key: str) -> Attempt:
    match = request.resolver_match
    return attempt_of(
        key,
        principal,
        owner=principal.tenant_id,
        method=request.method or "",
        route=match.route if match else request.path_info,
        path=request.path_info,
        body=request._request.body,
    )


def _lock(attempt: Attempt) -> None:
    """Hold the key until the transaction ends; a plain INSERT would wait instead of answering."""
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [attempt.lock])
        if not cursor.fetchone()[0]:
            raise running()


def once(attempt: Attempt | None, effect: Callable[[], bytes]) -> tuple[bytes, bool]:
    """Run ``effect`` inside the open transaction for its content, answered with 200.

    Give that, or what the key answered before, and whether it is the latter.

    Raises:
        kernel.errors.Conflict, kernel.errors.Unprocessable: as of :func:`run`.
    """
    if attempt is None:
        return effect(), False
    _lock(attempt)
    row = _found(attempt)
    if row is not None:
        return attempt.replay(bytes(row[0]), bytes(row[2])), True
    content = effect()
    _write(Reply(attempt, 200, content))
    return content, False


def _found(attempt: Attempt) -> tuple[bytes, int, bytes] | None:
    # A statement of its own: its snapshot must be younger than the lock.
    with db.cursor() as cursor:
        cursor.execute(_READ, [attempt.owner, attempt.scope, KEEP_HOURS])
        row: tuple[bytes, int, bytes] | None = cursor.fetchone()
    return row


def _stored(attempt: Attempt) -> HttpResponse | None:
    row = _found(attempt)
    if row is None:
        return None
    fingerprint, status, body = row
    content = attempt.replay(bytes(fingerprint), bytes(body))
    return HttpResponse(content, status=status, content_type=_JSON, headers={REPLAYED: "true"})


def _is_json(request: Request, answer: HttpResponseBase) -> bool:
    """Tell what a record can give back as it was. Tables and streams are reads: made anew."""
    if isinstance(answer, Response):
        return bool(request.accepted_renderer.media_type == _JSON)
    return isinstance(answer, HttpResponse) and answer.headers.get("Content-Type") == _JSON


def _write(reply: Reply) -> None:
    # Answers may show a secret once: they rest encrypted.
    body = sealing.seal(reply.content, _PURPOSE)
    attempt = reply.attempt
    with db.cursor() as cursor:
        cursor.execute(
            _WRITE, [attempt.owner, attempt.scope, attempt.fingerprint, reply.status, body]
        )


def _content(answer: HttpResponseBase) -> bytes:
    if isinstance(answer, Response):  # not rendered yet
        return b"" if answer.data is None else dumps(answer.data)
    return answer.content if isinstance(answer, HttpResponse) else b""
