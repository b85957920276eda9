"""Consuming at once: calls that arrive together are decided in one transaction (docs/adr/0138).

Calls of one tenant's keys go together, and all calls of the operator's keys, each with its own
decision, usage event, idempotency record and answer. What one is told is committed by then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing.catalog.queries import FeatureFact
from billing.entitlements.errors import QuotaUsedUpError
from billing.entitlements.queries.values import exhausted_at
from billing.entitlements.services.projection import project
from billing.entitlements.services.use import CONSUMED, USE_PREFIX, Used, check_input
from billing.usage.literals import array
from billing.usage.queries import customers, rates
from kernel import idempotency, tenancy
from kernel.errors import DomainError, Invalid, Unavailable, Unprocessable
from kernel.gate.quota import Standing
from kernel.gate.wire import (
    Call,
    InDoubtError,
    Row,
    Statement,
    StatementError,
    hot,
    hot_staff,
)
from kernel.idempotency import Attempt, Reply
from kernel.ids import encode, new_id
from kernel.together import Together

_TOGETHER_WAIT: Final = b"500ms"
"""How long a group waits for a lock; then each of its calls goes on alone."""
_ALONE_WAITS: Final = b"5s"
_LONGEST: Final = b"10s"
"""How long the decision of all calls of a group may take."""
_SET: Final = Statement(
    "billing_consume_as",
    "SELECT set_config('app.tenant', $1, true), set_config('lock_timeout', $2, true),"
    " set_config('statement_timeout', $3, true)",
    parameters=3,
)
_CONSUME: Final = Statement(
    "billing_consume",
    "SELECT place, outcome, fingerprint, body, feature_key,"
    " (extract(epoch FROM window_start) * 1000000)::bigint,"
    " (extract(epoch FROM window_end) * 1000000)::bigint, used, reserved, hard_limit, recent,"
    " CASE WHEN outcome = 'exceeded' THEN (extract(epoch FROM gate.access_returns("
    "($1::uuid[])[place], feature_key, clock_timestamp())) * 1000000)::bigint END"
    " FROM billing_consume($1::uuid[], $2::text[], $3::text[], $4::numeric[], $5::text[],"
    " $6::text[], $7::uuid[], $8::bigint[], $9::bytea[], $10::int, $11::text, $12::timestamptz,"
    " $13::boolean)",
    parameters=13,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """The content that a call is answered, and whether an earlier one with its key was so."""

    content: bytes
    replayed: bool = False


@dataclass(slots=True, eq=False)
class Consumption:
    """One call: a use of a feature by a tenant.

    ``attempt`` is the use of an idempotency key, and ``write`` writes the answer, which is kept
    with it. ``outcome`` is what came of it, None as long as nothing has.
    """

    tenant_id: UUID
    by_operator: bool
    feature: FeatureFact
    quantity: Decimal
    subject: str
    attempt: Attempt | None
    write: Callable[[Used], bytes]
    event_id: str = field(default_factory=lambda: encode(USE_PREFIX, new_id()))
    outcome: Answer | DomainError | None = None


Outcomes = dict[Consumption, Answer | DomainError]


def consume(call: Consumption) -> Answer:
    """Use a quantity, or nothing at all, committed when this returns.

    Raises:
        QuotaUsedUpError: it does not fit; nothing is used.
        kernel.errors.Invalid: the feature is not counted in quotas, or the quantity is not above 0,
            or not 1 where the meter counts events.
        kernel.errors.Conflict: a call with the idempotency key is still running.
        kernel.errors.Unprocessable: the key was used with another request.
        kernel.errors.Unavailable: the database does not answer, or a lock was not to be had; it
            may have been used. With an idempotency key asking again is safe.
    """
    check_input(call.feature, call.quantity)
    _together.do(None if call.by_operator else call.tenant_id, call)
    if call.outcome is None:  # nobody has opened its periods for a long time
        with tenancy.tenant_context(call.tenant_id):
            project(call.tenant_id)
        _decide([call], opened=True)
    if isinstance(call.outcome, Answer):
        return call.outcome
    raise call.outcome or RuntimeError("a consumption was left undecided")


def _decide(calls: Sequence[Consumption], *, opened: bool = False) -> None:
    """Decide some calls in one transaction, of one tenant or all of the operator's.

    Those whose periods nobody has opened are left undecided, unless ``opened`` says that there are
    none to open.

    Raises:
        kernel.gate.wire.StatementError, kernel.errors.Unavailable: as of :func:`consume`.
    """
    now = datetime.now(UTC)
    asked, doubled = _parted(calls)
    found: Outcomes = {}
    statements = [_as(calls), (_CONSUME, [*_columns(asked), *_settings(now, opened)])]

    def answer(rows: list[list[Row]]) -> list[Call]:
        found.clear()  # a deadlock lets all be decided anew
        found.update(_outcomes(asked, rows[1], now))
        replies = [
            Reply(call.attempt, _OK, outcome.content)
            for call, outcome in found.items()
            if call.attempt is not None and isinstance(outcome, Answer) and not outcome.replayed
        ]
        return [idempotency.keeping(replies)] if replies else []

    connection = hot_staff() if calls[0].by_operator else hot()
    try:
        if any(call.attempt is not None for call in asked):
            connection.transact(statements, answer)
        else:
            answer(connection.transact(statements))
    except InDoubtError as unsaid:  # nobody goes on alone: what may have been used stays one use
        found.clear()
        found.update(dict.fromkeys(asked, unsaid))
    for call, outcome in (found | doubled).items():
        call.outcome = outcome


def _parted(calls: Sequence[Consumption]) -> tuple[list[Consumption], Outcomes]:
    """Set apart those whose idempotency key another one of them has: it is running."""
    found: Outcomes = {}
    scopes: set[bytes] = set()
    asked: list[Consumption] = []
    for call in calls:
        if call.attempt is None:
            asked.append(call)
        elif call.attempt.scope in scopes:
            found[call] = idempotency.running()
        else:
            scopes.add(call.attempt.scope)
            asked.append(call)
    return asked, found


def _as(calls: Sequence[Consumption]) -> Call:
    """Speak for the tenant whose calls these are, as the gate has admitted it, or as staff."""
    tenant = "" if calls[0].by_operator else str(calls[0].tenant_id)
    return _SET, [tenant.encode(), _ALONE_WAITS if len(calls) == 1 else _TOGETHER_WAIT, _LONGEST]


def _columns(calls: Sequence[Consumption]) -> list[bytes]:
    attempts = [call.attempt for call in calls]
    return [
        array([call.tenant_id for call in calls]),
        array([call.feature.key for call in calls]),
        array([call.feature.meter for call in calls]),
        array([f"{call.quantity:f}" for call in calls]),
        array([call.event_id for call in calls]),
        array([call.subject or customers.public_id(call.tenant_id) for call in calls]),
        array([one and one.owner for one in attempts]),
        array([one and str(one.lock) for one in attempts]),
        array([one and f"\\x{one.scope.hex()}" for one in attempts]),
    ]


def _settings(now: datetime, opened: bool) -> list[bytes]:
    return [
        str(idempotency.KEEP_HOURS).encode(),
        CONSUMED.encode(),
        rates.since(now).isoformat().encode(),
        b"t" if opened else b"f",
    ]


@dataclass(frozen=True, slots=True)
class _Told:
    """A row of billing_consume, each value as text."""

    place: int
    outcome: str
    fingerprint: bytes
    body: bytes
    standing: Standing | None
    recent: Decimal
    returns_at: datetime | None

    @classmethod
    def read(cls, row: Row) -> "_Told":
        """Read the text values."""
        place, outcome, fingerprint, body, *standing, recent, returns = (
            None if value is None else value.decode() for value in row
        )
        return cls(
            int(place or 0),
            outcome or "",
            bytes.fromhex((fingerprint or "\\x")[2:]),
            bytes.fromhex((body or "\\x")[2:]),
            _standing(standing),
            Decimal(recent or 0),
            None if returns is None else _EPOCH + timedelta(microseconds=int(returns)),
        )


def _standing(columns: Sequence[str | None]) -> Standing | None:
    feature, start, end, used, reserved, limit = columns
    if feature is None:
        return None
    return Standing(
        feature,
        _EPOCH + timedelta(microseconds=int(start or 0)),
        _EPOCH + timedelta(microseconds=int(end or 0)),
        Decimal(used or 0),
        Decimal(reserved or 0),
        None if limit is None else Decimal(limit),
    )


def _outcomes(calls: Sequence[Consumption], rows: Sequence[Row], now: datetime) -> Outcomes:
    """Say what came of each call that is decided."""
    told = [_Told.read(row) for row in rows]
    recent = {
        (calls[one.place - 1].tenant_id, calls[one.place - 1].feature.meter): one.recent
        for one in told
        if one.outcome == "recent"
    }
    found: Outcomes = {}
    for one in told:
        if one.outcome not in {"recent", "unopened"}:
            call = calls[one.place - 1]
            lately = recent.get((call.tenant_id, call.feature.meter), Decimal(0))
            found[call] = _outcome(call, one, lately, now)
    return found


def _outcome(
    call: Consumption, told: _Told, recent: Decimal, now: datetime
) -> Answer | DomainError:
    match told.outcome:
        case "running":
            return idempotency.running()
        case "replayed" if call.attempt is not None:
            return _replayed(call.attempt, told)
        case "meterless":
            return Invalid(f"No event feeds the meter {call.feature.meter}.", code="not_consumable")
        case "single":
            message = f"{call.feature.meter} counts events: the quantity is 1."
            return Invalid(message, pointer="/quantity")
    standing = told.standing
    if told.outcome == "exceeded" and standing is not None:
        return QuotaUsedUpError(standing, told.returns_at)
    exhausted = None
    if standing is not None and standing.remaining is not None:
        rate = rates.per_hour(recent, now)
        exhausted = exhausted_at(standing.remaining, rate, standing.end, now)
    return Answer(call.write(Used(call.event_id, call.quantity, standing, exhausted)))


def _replayed(attempt: Attempt, told: _Told) -> Answer | DomainError:
    try:
        return Answer(attempt.replay(told.fingerprint, told.body), replayed=True)
    except Unprocessable as refused:
        return refused


_together: Final = Together(_decide, (StatementError, Unavailable))
