"""One stream, from its cursor on: read a batch, send it outside any transaction, move the cursor.

A crash anywhere sends the last batch again, never less. What fails is tried again with growing
pauses; what has failed for days is paused, with an entry and an event.
"""

import random
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from audit.queries import logs, proofs
from audit.streams import documents, progress, senders, services
from audit.streams.models import LogStream, purpose
from audit.streams.progress import Claim, Position
from audit.streams.senders import Batch, SendError
from kernel import db
from kernel.errors import DomainError
from kernel.ids import encode, new_id
from kernel.sealing import SealError, open_sealed

MOST_ENTRIES: Final = 500
MOST_BYTES: Final = 1024 * 1024
MOST_BATCHES: Final = 20
"""Batches of one claim: then others have their turn."""
NOTE_EVERY_S: Final = 60.0
"""How often the entries of a log come with a signed checkpoint that covers them."""
CHECKPOINT_EVERY_S: Final = 60.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
PATIENCE_S: Final = 3 * 24 * 3600.0
"""For how long a stream may fail without one success before it is paused."""
LEAST_FAILURES: Final = 10
Reason = LogStream.Reason
_log = structlog.get_logger("innkeeper.audit.streams")


@dataclass(frozen=True, slots=True)
class Shipment:
    """A batch and the place up to which it brings its log."""

    batch: Batch
    following: int
    noted: bool


def deliver(held: Claim) -> int:
    """Send what a claimed stream has to send, as staff across tenants; return how many places."""
    places = 0
    for _ in range(MOST_BATCHES):
        at = progress.position(held.stream_id, NOTE_EVERY_S)
        if at is None:
            break
        try:
            shipment = _prepared(held, at)
            senders.send(held.kind, held.url, _secret(held), shipment.batch)
        except SendError as error:
            _count_failure(held, error)
            return places
        active = _moved(held, at, shipment)
        if active is None:
            _log.warning("stream.claim_lost", stream=str(held.stream_id))
            return places
        places += shipment.following - at.first
        if not active:
            break
    periodic = held.content == LogStream.Content.CHECKPOINTS
    progress.release(held, CHECKPOINT_EVERY_S if periodic else 0.0)
    return places


def _moved(held: Claim, at: Position, shipment: Shipment) -> bool | None:
    with db.atomic():
        active = progress.succeeded(held, at, following=shipment.following, noted=shipment.noted)
        if active is not None and held.content == LogStream.Content.CHECKPOINTS:
            _keep_witness(held, at, shipment)
    return active


def _prepared(held: Claim, at: Position) -> Shipment:
    try:
        if held.content == LogStream.Content.CHECKPOINTS:
            return _checkpoint(at)
        return _entries(at)
    except DomainError as error:
        # The log cannot be signed over, as after a restore: its owner is told so, and we wait.
        raise SendError(error.code) from error


def _entries(at: Position) -> Shipment:
    stop = min(at.first + MOST_ENTRIES, at.size)
    found = logs.entries(at.log_id, at.first, stop)
    told: list[documents.Document] = []
    size = 0
    for document in documents.of_entries(at, stop, found):
        size += len(document.body)
        if told and size > MOST_BYTES:
            break
        told.append(document)
    following = at.first + len(told)
    if at.wants_note:
        told.append(documents.of_note(at, proofs.checkpoint(at.log_id, at_least=following)))
    name = f"msg_{at.log_id.hex}_{at.first}_{following}"
    return Shipment(Batch(name, told), following, at.wants_note)


def _checkpoint(at: Position) -> Shipment:
    published = proofs.checkpoint(at.log_id)
    document = documents.of_checkpoint(at, published)
    return Shipment(Batch(f"msg_{document.id}", [document]), published.size, noted=True)


def _keep_witness(held: Claim, at: Position, shipment: Shipment) -> None:
    """Note which state the receiver has: from now on it can hold us to it."""
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_anchor (id, log_id, size, tenant_id, kind, proof) "
            "SELECT %s, log_id, size, tenant_id, 'receiver', note FROM audit_checkpoint "
            "WHERE log_id = %s AND size = %s",
            [new_id(), at.log_id, shipment.following],
        )


def _secret(held: Claim) -> str:
    if held.secret is None:
        return ""
    try:
        return open_sealed(held.secret, purpose(held.stream_id)).decode()
    except SealError as error:
        raise SendError("secret_unreadable") from error


def _count_failure(held: Claim, error: SendError) -> None:
    pause = max(backoff_s(progress.failures(held.stream_id)), error.retry_s)
    counted = progress.failed(held, error.reason, pause)
    if counted is None:
        return
    count, seconds = counted
    _log.warning("stream.failed", stream=_name(held.stream_id), why=error.reason, failures=count)
    if error.gone:
        services.give_up(held.owner, held.stream_id, Reason.GONE, error.reason)
    elif seconds > PATIENCE_S and count >= LEAST_FAILURES:
        services.give_up(held.owner, held.stream_id, Reason.FAILING, error.reason)


def backoff_s(failures: int) -> float:
    """Give the seconds until the next attempt: doubling, and up to a tenth later, never earlier."""
    step: float = min(FIRST_PAUSE_S * 2 ** min(failures, 16), LONGEST_PAUSE_S)
    return step + random.uniform(0, step / 10)  # noqa: S311 - spreads load, hides nothing


def _name(stream_id: UUID) -> str:
    return encode(services.STREAM_PREFIX, stream_id)
