"""Streams of a log: making, pausing, resuming, testing and ending them. Each is an entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from audit.actions import (
    STREAM_CREATED,
    STREAM_DELETED,
    STREAM_PAUSED,
    STREAM_RESUMED,
    STREAM_TESTED,
)
from audit.events import StreamPaused
from audit.models import PLATFORM_TENANT
from audit.services.recording import record
from audit.streams.models import SCHEMES, LogStream, purpose
from audit.streams.progress import LOGS
from kernel import db, events, outbound
from kernel.errors import Conflict, Invalid, NotFound
from kernel.ids import encode, new_id
from kernel.outbound import signatures
from kernel.sealing import seal
from kernel.tenancy import tenant_or_none

STREAM_PREFIX: Final = "str"
MOST: Final = 10
"""Streams of one owner."""
TARGET: Final = "audit_stream"
Kind, Status, Reason = LogStream.Kind, LogStream.Status, LogStream.Reason
_PLACE_NOW: Final = f"""
INSERT INTO audit_stream_cursor (stream_id, log_id, tenant_id, next_index)
SELECT s.id, h.log_id, s.tenant_id, h.size FROM audit_stream s, LATERAL (SELECT h.* FROM {LOGS}) h
 WHERE s.id = %s
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStream:
    """What is asked for. ``token`` is the receiver's own, where the kind has one."""

    name: str
    kind: str
    url: str
    content: str = LogStream.Content.ENTRIES
    scope: str = LogStream.Scope.BOTH
    token: str = ""
    from_beginning: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """A stream, and the secret that signs its messages where we made one: shown this once."""

    stream: LogStream
    secret: str = ""


def owner() -> UUID:
    """Name whose streams the context means: its tenant's, or the instance's own."""
    return tenant_or_none() or PLATFORM_TENANT


def create(new: NewStream) -> Made:
    """Make a stream of the context's owner. It begins to send at once.

    Raises:
        kernel.errors.Invalid: an address that is not called, a missing or spare token, or logs that
            are not the owner's to send.
        kernel.errors.Conflict: the owner has as many streams as one may have.
    """
    _check(new)
    with db.atomic():
        if LogStream.objects.filter(tenant_id=owner()).count() >= MOST:
            raise Conflict(f"There are {MOST} streams already.", code="too_many_streams")
        stream_id = new_id()
        secret = signatures.new_secret() if new.kind == Kind.WEBHOOK else new.token
        made = LogStream.objects.create(
            id=stream_id,
            tenant_id=owner(),
            name=new.name,
            kind=new.kind,
            content=new.content,
            scope=new.scope,
            url=new.url,
            secret=seal(secret.encode(), purpose(stream_id)) if secret else None,
            status=Status.ACTIVE,
            reason=Reason.NONE,
        )
        with db.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_stream_state (stream_id, tenant_id) VALUES (%s, %s)",
                [stream_id, made.tenant_id],
            )
            if not new.from_beginning:
                cursor.execute(_PLACE_NOW, [stream_id])
        _record(STREAM_CREATED.name, made, after=facts_of(made))
    return Made(made, secret if new.kind == Kind.WEBHOOK else "")


def pause(stream_id: UUID, *, reason: str = "") -> LogStream:
    """Stop sending; the cursor stays. Repeating it is harmless.

    Raises:
        kernel.errors.NotFound: the owner has no such stream.
    """
    with db.atomic():
        stream = _locked(stream_id)
        if stream.status == Status.ACTIVE:
            _stop(stream, Reason.ASKED, said=reason)
    return stream


def resume(stream_id: UUID, *, from_beginning: bool = False, reason: str = "") -> LogStream:
    """Send again from where the stream stopped, or everything anew (backfill).

    Raises:
        kernel.errors.NotFound: the owner has no such stream.
    """
    with db.atomic():
        stream = _locked(stream_id)
        before = {"status": stream.status, "reason": stream.reason}
        stream.status, stream.reason = Status.ACTIVE, Reason.NONE
        LogStream.objects.filter(id=stream_id).update(status=stream.status, reason=stream.reason)
        with db.cursor() as cursor:
            # A new token: whatever is in flight can no longer move the cursor that is laid here.
            cursor.execute(
                "UPDATE audit_stream_state SET next_at = clock_timestamp(), failures = 0, "
                "failing_since = NULL, token = token + %s, leased_until = NULL "
                "WHERE stream_id = %s",
                [int(from_beginning), stream_id],
            )
            if from_beginning:
                cursor.execute("DELETE FROM audit_stream_cursor WHERE stream_id = %s", [stream_id])
        after = {"status": stream.status, "reason": stream.reason}
        _record(
            STREAM_RESUMED.name,
            stream,
            before=before,
            after=after,
            metadata={"from_beginning": from_beginning},
            reason=reason,
        )
    return stream


def delete(stream_id: UUID) -> None:
    """End a stream for good and forget its secret.

    Raises:
        kernel.errors.NotFound: the owner has no such stream.
    """
    with db.atomic():
        stream = _locked(stream_id)
        LogStream.objects.filter(id=stream_id).delete()
        _record(STREAM_DELETED.name, stream, before=facts_of(stream))


def note_test(stream_id: UUID) -> LogStream:
    """Record that a test message was asked for; the caller enqueues the job that sends it.

    Raises:
        kernel.errors.NotFound: the owner has no such stream.
    """
    with db.atomic():
        stream = _locked(stream_id)
        _record(STREAM_TESTED.name, stream)
    return stream


def give_up(stream_owner: UUID, stream_id: UUID, reason: str, last_error: str) -> None:
    """Pause a stream that keeps failing; its owner and the operator are told by an event."""
    with db.atomic():
        stream = LogStream.objects.select_for_update().filter(id=stream_id).first()
        if stream is None or stream.status != Status.ACTIVE:
            return
        _stop(stream, reason)
        events.emit(
            StreamPaused(
                tenant_id=stream_owner if stream_owner != PLATFORM_TENANT else None,
                stream=encode(STREAM_PREFIX, stream_id),
                reason=reason,
                last_error=last_error,
            )
        )


def facts_of(stream: LogStream) -> dict[str, Any]:
    """Give what an entry may say of a stream: the address without its path, which may be secret."""
    split = urlsplit(stream.url)
    return {
        "name": stream.name,
        "kind": stream.kind,
        "content": stream.content,
        "logs": stream.scope,
        "receiver": f"{split.scheme}://{split.netloc}",
        "status": stream.status,
    }


def _check(new: NewStream) -> None:
    kind = Kind(new.kind)
    outbound.parse(new.url, SCHEMES[kind])
    if (kind is Kind.SPLUNK) != bool(new.token):
        raise Invalid("A token is given for Splunk, and only there.", pointer="/token")
    if new.scope == LogStream.Scope.EVERYTHING and owner() != PLATFORM_TENANT:
        raise Invalid("A tenant streams its own logs.", pointer="/logs")


def _locked(stream_id: UUID) -> LogStream:
    found = LogStream.objects.select_for_update().filter(id=stream_id, tenant_id=owner()).first()
    if found is None:
        raise NotFound("There is no such stream.", code="stream_not_found")
    return found


def _stop(stream: LogStream, reason: str, *, said: str = "") -> None:
    before = {"status": stream.status, "reason": stream.reason}
    stream.status, stream.reason = Status.PAUSED, Reason(reason)
    LogStream.objects.filter(id=stream.id).update(status=stream.status, reason=stream.reason)
    after = {"status": stream.status, "reason": stream.reason}
    _record(STREAM_PAUSED.name, stream, before=before, after=after, reason=said)


def _record(
    action: str,
    stream: LogStream,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    record(
        action=action,
        target_type=TARGET,
        target_id=encode(STREAM_PREFIX, stream.id),
        tenant_id=stream.tenant_id,
        before=before,
        after=after,
        metadata=metadata,
        reason=reason,
    )
