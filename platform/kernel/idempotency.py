"""Idempotency-Key: the record of a POST stands in the transaction of its effect.

After draft-ietf-httpapi-idempotency-key-header-07 and Stripe's habits. A key is scoped by tenant,
the caller's lineage (so that a rotated key still replays), method and route. Either effect and
record commit together or neither does: a crash leaves no half-done key behind. Refusals roll back
and are not recorded; repeating them decides anew. Neither are answers that are no JSON.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import db, sealing
from kernel.authz import Principal
from kernel.errors import Conflict, Invalid, Unprocessable
from kernel.http.render import dumps

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
_PURGE = """
DELETE FROM kernel_idempotency WHERE created_at < clock_timestamp() - make_interval(hours => %s)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One use of an idempotency key: where it counts, and what was asked with it."""

    principal: Principal
    scope: bytes
    fingerprint: bytes


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
    if not 0 < len(key) <= MAX_LENGTH:
        raise Invalid(f"{HEADER} has 1 to {MAX_LENGTH} characters.", code="invalid_idempotency_key")
    attempt = _attempt(request, principal, key)
    _lock(attempt)
    stored = _stored(attempt)
    if stored is not None:
        return stored
    answer = effect()
    if answer.status_code not in _DECIDED_ANEW and _is_json(request, answer):
        _store(attempt, answer)
    return answer


def purge() -> int:
    """Delete records older than a day; give their number. Runs as staff."""
    with db.cursor() as cursor:
        cursor.execute(_PURGE, [KEEP_HOURS])
        return int(cursor.rowcount)


def _attempt(request: Request, principal: Principal, key: str) -> Attempt:
    match = request.resolver_match
    route = match.route if match else request.path_info
    caller = str(principal.lineage or principal.id or "")
    scope = "\0".join([caller, request.method or "", route, key])
    asked = hashlib.sha256(f"{request.path_info}\0".encode() + request._request.body)
    return Attempt(principal, hashlib.sha256(scope.encode()).digest(), asked.digest())


def _lock(attempt: Attempt) -> None:
    """Hold the key until the transaction ends; a plain INSERT would wait instead of answering."""
    number = int.from_bytes(attempt.scope[:8], "big", signed=True)
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        if not cursor.fetchone()[0]:
            raise Conflict(
                "A request with this Idempotency-Key is still running.",
                code="idempotency_in_progress",
                retry_after=1,
            )


def _stored(attempt: Attempt) -> HttpResponse | None:
    # A statement of its own: its snapshot must be younger than the lock.
    with db.cursor() as cursor:
        cursor.execute(_READ, [attempt.principal.tenant_id, attempt.scope, KEEP_HOURS])
        row = cursor.fetchone()
    if row is None:
        return None
    fingerprint, status, body = row
    if bytes(fingerprint) != attempt.fingerprint:
        raise Unprocessable(
            "This Idempotency-Key was used with another request.", code="idempotency_key_reused"
        )
    content = sealing.open_sealed(bytes(body), _PURPOSE)
    return HttpResponse(content, status=status, content_type=_JSON, headers={REPLAYED: "true"})


def _is_json(request: Request, answer: HttpResponseBase) -> bool:
    """Tell what a record can give back as it was. Tables and streams are reads: made anew."""
    if isinstance(answer, Response):
        return bool(request.accepted_renderer.media_type == _JSON)
    return isinstance(answer, HttpResponse) and answer.headers.get("Content-Type") == _JSON


def _store(attempt: Attempt, answer: HttpResponseBase) -> None:
    content = _content(answer)
    # Answers may show a secret once: they rest encrypted.
    body = sealing.seal(content, _PURPOSE)
    with db.cursor() as cursor:
        cursor.execute(
            _WRITE,
            [
                attempt.principal.tenant_id,
                attempt.scope,
                attempt.fingerprint,
                answer.status_code,
                body,
            ],
        )


def _content(answer: HttpResponseBase) -> bytes:
    if isinstance(answer, Response):  # not rendered yet
        return b"" if answer.data is None else dumps(answer.data)
    return answer.content if isinstance(answer, HttpResponse) else b""
