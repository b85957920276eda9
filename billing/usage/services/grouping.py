"""Single events that arrive together are taken together: one commit for all.

Tenants' callers are admitted together, too: an event that comes alone is admitted and written in
two statements, those that come while others are under way in two for all of them (docs/adr/0136).
Platform keys are admitted each for itself, and only their events go together.

Each caller gets its own answer, after the commit. Where a group fails for whatever reason, each of
its members goes on alone and has its own error or none: docs/adr/0102.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from billing.usage import permissions
from billing.usage.cloudevents import Event
from billing.usage.literals import array
from billing.usage.models import OPERATOR
from billing.usage.services.ingest import Reporter, columns, hints, ingest, places
from kernel.errors import DomainError, Unavailable
from kernel.gate.admission import Admission, admit
from kernel.gate.company import Caller, admit_many
from kernel.gate.presented import resume
from kernel.gate.wire import HotConnection, Statement, StatementError, hot
from kernel.together import Together

PERMISSION: Final = permissions.EVENTS_WRITE.name
WAY: Final = "events"
"""What is under way is one of these at a time, in each group."""
COMPANY_S: Final = 0.002
"""For how long a group waits for those whose group has just ended: docs/adr/0137."""
LARGEST_DATA: Final = 64 * 1024
"""Bytes of data above which an event goes alone: nobody waits for another's megabyte."""
_OF_TENANTS: Final = Statement(
    "usage_ingest_group",
    "SELECT billing_usage_ingest_group($1::uuid[], $2::text[], $3::text[], $4::bytea[],"
    " $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::jsonb[],"
    " $11::text[])",
    parameters=11,
)
_OF_OPERATOR: Final = Statement(
    "usage_take_group",
    "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '50ms', true))"
    " SELECT billing_usage_take($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],"
    " $6::text[], $7::text[], $8::timestamptz[], $9::jsonb[], $10::text[], $11::uuid[])"
    " FROM patience",
    parameters=11,
)


@dataclass(slots=True, eq=False)
class Arrival:
    """A tenant's caller with its event, and afterwards what became of both.

    ``event`` is None where what was sent is none: its sender is admitted or refused all the same.
    ``key`` and ``caller`` hold the same credential, as it came and as the database knows it.
    """

    key: str
    caller: Caller
    event: Event | None
    admission: Admission | None = None
    through: bool = False
    new: bool = False
    fault: DomainError | None = None


class Door:
    """Where tenants' callers come in. ``connection`` is for those who come first or together."""

    def __init__(self, connection: HotConnection | None = None) -> None:
        self.gathered = Together(self._pass, failures=(), patience=COMPANY_S)
        self._connection = connection or HotConnection()

    def enter(self, arrival: Arrival) -> Admission:
        """Admit a caller and take its event, with others if any are waiting.

        The answer is the gate's; where it is VALID, the event has been taken (``new`` tells
        whether it was new), or ``fault`` is what :func:`ingest` says against it.

        Raises:
            kernel.errors.Unavailable: the gate does not answer.
        """
        self.gathered.do(WAY, arrival)
        if arrival.admission is None or not arrival.through:
            return _alone(arrival, hot())
        return arrival.admission

    def _pass(self, arrivals: Sequence[Arrival]) -> None:
        """Let some through. Whoever is not through afterwards goes on alone: says nothing of it."""
        if len(arrivals) == 1:
            _alone(arrivals[0], self._connection)
            return
        try:
            self._together(arrivals)
        except (StatementError, Unavailable):
            return

    def _together(self, arrivals: Sequence[Arrival]) -> None:
        admissions = admit_many(
            self._connection, [arrival.caller for arrival in arrivals], PERMISSION
        )
        for arrival, admission in zip(arrivals, admissions, strict=True):
            arrival.admission = admission
            arrival.through = admission is not None and arrival.event is None
        writing = [arrival for arrival in arrivals if arrival.admission and arrival.event]
        if writing:
            row = self._connection.row(_OF_TENANTS, _values(writing))
            new = places(row[0] or b"{}")
            for place, arrival in enumerate(writing):
                arrival.new = place in new
                arrival.through = True


def _alone(arrival: Arrival, connection: HotConnection) -> Admission:
    """Do for one what is still to be done, on a connection that is not its group's."""
    admission = arrival.admission
    if admission is None:
        caller = arrival.caller
        admission = admit(connection, arrival.key, ip=caller.ip, permission=PERMISSION)
        arrival.admission = admission
    elif admission.tenant_id is not None:
        resume(connection, admission.tenant_id)
    arrival.through = True
    if admission.code != "VALID" or arrival.event is None:
        return admission
    try:
        arrival.new = (
            ingest(
                [arrival.event],
                tenant_id=admission.tenant_id,
                key_id=admission.key_id,
                connection=connection,
            )
            == 1
        )
    except DomainError as refused:
        arrival.fault = refused
    return admission


def _values(arrivals: Sequence[Arrival]) -> list[bytes | None]:
    credentials = {arrival.caller.credential for arrival in arrivals}
    proofs = [(found.public_id, mac) for found in credentials for mac in found.macs]
    admissions = [arrival.admission for arrival in arrivals if arrival.admission]
    return [
        array([admission.tenant_id for admission in admissions]),
        array([arrival.caller.credential.public_id for arrival in arrivals]),
        array([public_id for public_id, _ in proofs]),
        array([f"\\x{mac.hex()}" for _, mac in proofs]),
        *columns([arrival.event for arrival in arrivals if arrival.event]),
    ]


@dataclass(slots=True, eq=False)
class Single:
    """An event of the operator's, whose key the gate has admitted on the reporter's connection."""

    event: Event
    reporter: Reporter
    new: bool = False


def take_together(singles: Sequence[Single]) -> None:
    """Take the operator's events, on the connection of the first.

    Raises:
        kernel.errors.DomainError: what :func:`ingest` raises, for one.
        StatementError: of several nothing was taken.
    """
    first = singles[0]
    connection = first.reporter["connection"]
    if len(singles) == 1 or connection is None:
        first.new = ingest([first.event], **first.reporter) == 1
        return
    row = connection.row(_OF_OPERATOR, _values_of_operator(singles))
    new = places(row[0] or b"{}")
    for place, single in enumerate(singles):
        single.new = place in new


def _values_of_operator(singles: Sequence[Single]) -> list[bytes | None]:
    events = [single.event for single in singles]
    return [
        array([OPERATOR] * len(singles)),
        array([single.reporter["tenant_id"] for single in singles]),
        array([single.reporter["key_id"] for single in singles]),
        *columns(events),
        hints(events),
    ]


_door: Final = Door()
_operator: Final = Together(
    take_together, failures=(StatementError, Unavailable), patience=COMPANY_S
)


def enter(arrival: Arrival) -> Admission:
    """Do what :meth:`Door.enter` does, with all that come to this process."""
    return _door.enter(arrival)


def take(event: Event, reporter: Reporter) -> bool:
    """Take one event of an admitted caller, committed when this returns; tell whether it was new.

    Raises:
        kernel.errors.DomainError: what :func:`ingest` raises.
    """
    connection = reporter["connection"]
    if connection is None or not reporter["by_operator"] or len(bytes(event.data)) > LARGEST_DATA:
        return ingest([event], **reporter) == 1
    single = Single(event, reporter)
    _operator.do(WAY, single)
    return single.new
