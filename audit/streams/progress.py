"""Claims and cursors of streams, in SQL. Everything here runs as staff, across tenants.

A claim is a lease with a fencing token: a deliverer that stalls past its lease can neither move a
cursor nor count a failure. Only the database's clock is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from kernel import db

LEASE_S: Final = 90.0
"""Three times the deadline of a call: a living deliverer always finishes within it."""

# The logs of a stream `s`. The log of heads has no entries; whoever watches checkpoints gets its.
LOGS: Final = """
audit_head h LEFT JOIN audit_stream_cursor c ON c.stream_id = s.id AND c.log_id = h.log_id
WHERE (h.tenant_id = s.tenant_id OR s.scope = 'everything')
  AND CASE h.stream WHEN 0 THEN s.scope <> 'tenant' WHEN 1 THEN s.scope <> 'platform'
      ELSE s.content = 'checkpoints' AND h.tenant_id = s.tenant_id END
"""
_CLAIM: Final = f"""
WITH due AS MATERIALIZED (
  SELECT t.stream_id FROM audit_stream_state t JOIN audit_stream s ON s.id = t.stream_id
   WHERE s.status = 'active' AND s.id = coalesce(%s, s.id) AND t.next_at <= clock_timestamp()
     AND (t.leased_until IS NULL OR t.leased_until < clock_timestamp())
     AND EXISTS (SELECT FROM {LOGS} AND h.size > coalesce(c.next_index, 0))
   ORDER BY t.next_at, t.stream_id LIMIT %s FOR UPDATE OF t SKIP LOCKED)
UPDATE audit_stream_state t
   SET token = t.token + 1, leased_until = clock_timestamp() + make_interval(secs => %s)
  FROM due JOIN audit_stream s ON s.id = due.stream_id WHERE t.stream_id = due.stream_id
RETURNING s.id, s.tenant_id, s.kind, s.content, s.url, s.secret, t.token
"""  # noqa: S608 - constants
_NEXT: Final = f"""
SELECT h.log_id, h.tenant_id, h.stream, h.origin, h.size, h.first, h.wants_note
  FROM audit_stream s, LATERAL (
       SELECT h.*, coalesce(c.next_index, 0) AS first, c.moved_at,
              coalesce(c.noted_at < clock_timestamp() - make_interval(secs => %s), true)
              AS wants_note
         FROM {LOGS} AND h.size > coalesce(c.next_index, 0)) h
 WHERE s.id = %s ORDER BY h.moved_at NULLS FIRST, h.log_id LIMIT 1
"""  # noqa: S608 - constants
_SUCCEEDED: Final = """
UPDATE audit_stream_state t
   SET failures = 0, failing_since = NULL, last_error = '', last_success_at = clock_timestamp(),
       delivered = t.delivered + %s, leased_until = clock_timestamp() + make_interval(secs => %s)
  FROM audit_stream s WHERE t.stream_id = %s AND t.token = %s AND s.id = t.stream_id
RETURNING s.status = 'active'
"""
_MOVE: Final = """
INSERT INTO audit_stream_cursor AS k (stream_id, log_id, tenant_id, next_index, noted_at)
VALUES (%s, %s, %s, %s, CASE WHEN %s THEN clock_timestamp() END)
ON CONFLICT (stream_id, log_id) DO UPDATE
   SET next_index = EXCLUDED.next_index, moved_at = clock_timestamp(),
       noted_at = coalesce(EXCLUDED.noted_at, k.noted_at)
"""
_FAILED: Final = """
UPDATE audit_stream_state
   SET failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp()),
       last_error = %s, leased_until = NULL,
       next_at = clock_timestamp() + make_interval(secs => %s)
 WHERE stream_id = %s AND token = %s
RETURNING failures, extract(epoch FROM clock_timestamp() - failing_since)::float8
"""
_RELEASE: Final = """
UPDATE audit_stream_state
   SET leased_until = NULL, next_at = clock_timestamp() + make_interval(secs => %s)
 WHERE stream_id = %s AND token = %s
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stream in the hands of one deliverer."""

    stream_id: UUID
    owner: UUID
    kind: str
    content: str
    url: str
    secret: bytes | None
    token: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream goes on: the log, its size, the first place not delivered."""

    log_id: UUID
    tenant_id: UUID
    stream: int
    origin: str
    size: int
    first: int
    wants_note: bool


def claim(limit: int, *, only: UUID | None = None) -> list[Claim]:
    """Take up to ``limit`` streams that have something to send, the longest waiting first."""
    with db.atomic(), db.cursor() as cursor:
        cursor.execute(_CLAIM, [only, limit, LEASE_S])
        return [_claim(row) for row in cursor.fetchall()]


def position(stream_id: UUID, note_every_s: float) -> Position | None:
    """Find the log that the stream goes on with: the one it has not moved in for longest."""
    with db.cursor() as cursor:
        cursor.execute(_NEXT, [note_every_s, stream_id])
        row = cursor.fetchone()
    return Position(*row) if row else None


def succeeded(held: Claim, at: Position, *, following: int, noted: bool) -> bool | None:
    """Move the cursor in the open transaction.

    Returns:
        Whether the stream is still active; None when the claim was lost: then nothing was moved.
    """
    with db.cursor() as cursor:
        cursor.execute(_SUCCEEDED, [following - at.first, LEASE_S, held.stream_id, held.token])
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute(_MOVE, [held.stream_id, at.log_id, held.owner, following, noted])
    return bool(row[0])


def failed(held: Claim, reason: str, retry_s: float) -> tuple[int, float] | None:
    """Count a failure and end the claim; give the failures in a row and for how many seconds."""
    with db.cursor() as cursor:
        cursor.execute(_FAILED, [reason, retry_s, held.stream_id, held.token])
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def failures(stream_id: UUID) -> int:
    """Give the failures in a row so far."""
    with db.cursor() as cursor:
        cursor.execute("SELECT failures FROM audit_stream_state WHERE stream_id = %s", [stream_id])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def release(held: Claim, pause_s: float) -> None:
    """End a claim in peace; the stream is looked at again after ``pause_s``."""
    with db.cursor() as cursor:
        cursor.execute(_RELEASE, [pause_s, held.stream_id, held.token])


def _claim(row: Sequence[Any]) -> Claim:
    identifier, owner, kind, content, url, secret, token = row
    return Claim(identifier, owner, kind, content, url, secret and bytes(secret), token)
