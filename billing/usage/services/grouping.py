"""Single events that arrive together are taken together: one statement, one commit for all.

The first one goes at once, alone, as if there were no groups. Those that come while it is under way
wait, and go in one statement when it has ended; the first of them leads. So nobody waits for
company, and a group is as large as the database is busy. Groups live in one process, one for
tenants' keys and one for the operator's.

Each caller gets its own answer, after the commit. Where a group fails for whatever reason, each of
its events goes on alone and has its own error or none: docs/adr/0102.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from billing.usage.cloudevents import Event
from billing.usage.literals import array
from billing.usage.models import OPERATOR
from billing.usage.services.ingest import Reporter, columns, hints, ingest, places
from kernel.errors import Unavailable
from kernel.gate.presented import Credential, resume
from kernel.gate.wire import HotConnection, Statement, StatementError

LARGEST: Final = 64
"""Events of one group."""
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


class _State(Enum):
    WAITING = auto()
    LEADING = auto()
    TAKEN = auto()


@dataclass(slots=True, eq=False)
class Single:
    """One event with its caller; ``credential`` is what proves a tenant's to the database."""

    event: Event
    reporter: Reporter
    credential: Credential
    new: bool = False
    state: _State = _State.WAITING
    turn: threading.Lock = field(default_factory=threading.Lock)


class Group:
    """The events of one process that go the same way. Safe from any number of threads."""

    def __init__(
        self, statement: Statement, values: Callable[[Sequence[Single]], list[bytes | None]]
    ) -> None:
        self._statement = statement
        self._values = values
        self._guard = threading.Lock()
        self._waiting: deque[Single] = deque()
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether one is under way, for which others would wait."""
        return self._busy

    @property
    def waiting(self) -> int:
        """How many wait for the one that is under way."""
        return len(self._waiting)

    def take(self, single: Single, connection: HotConnection) -> bool:
        """Take an event, with others if any are waiting; tell whether it was new.

        Raises:
            kernel.errors.DomainError: what :func:`ingest` raises for this event alone.
        """
        if self._must_wait(single):
            single.turn.acquire()
        if single.state is _State.LEADING:
            self._lead(single, connection)
        if single.state is not _State.TAKEN:
            _alone(single)
        return single.new

    def _must_wait(self, single: Single) -> bool:
        with self._guard:
            if not self._busy:
                self._busy = True
                single.state = _State.LEADING
                return False
            single.turn.acquire()
            self._waiting.append(single)
            return True

    def _lead(self, leader: Single, connection: HotConnection) -> None:
        """Take all that wait by now, pass the lead on, and let the members go."""
        with self._guard:
            members = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST - 1))]
        try:
            if members:
                self._write([leader, *members], connection)
            else:
                _alone(leader)
        finally:
            self._pass_on()
            for member in members:
                member.turn.release()

    def _pass_on(self) -> None:
        """Let the one that has waited longest lead, or leave the place empty."""
        with self._guard:
            if not self._waiting:
                self._busy = False
                return
            following = self._waiting.popleft()
        following.state = _State.LEADING
        following.turn.release()

    def _write(self, singles: list[Single], connection: HotConnection) -> None:
        """Write a group. A failure says nothing about any one of its events: each goes alone."""
        leader = singles[0]
        try:
            row = connection.row(self._statement, self._values(singles))
        except (StatementError, Unavailable):
            leader.state = _State.WAITING
            if not leader.reporter["by_operator"] and leader.reporter["tenant_id"] is not None:
                resume(connection, leader.reporter["tenant_id"])
            return
        new = places(row[0] or b"{}")
        for place, single in enumerate(singles):
            single.new = place in new
            single.state = _State.TAKEN


def _alone(single: Single) -> None:
    single.new = ingest([single.event], **single.reporter) == 1
    single.state = _State.TAKEN


def _values_of_tenants(singles: Sequence[Single]) -> list[bytes | None]:
    proofs = {
        (single.credential.public_id, mac) for single in singles for mac in single.credential.macs
    }
    return [
        array([single.reporter["tenant_id"] for single in singles]),
        array([single.credential.public_id for single in singles]),
        array([public_id for public_id, _ in proofs]),
        array([f"\\x{mac.hex()}" for _, mac in proofs]),
        *columns([single.event for single in singles]),
    ]


def _values_of_operator(singles: Sequence[Single]) -> list[bytes | None]:
    events = [single.event for single in singles]
    return [
        array([OPERATOR] * len(singles)),
        array([single.reporter["tenant_id"] for single in singles]),
        array([single.reporter["key_id"] for single in singles]),
        *columns(events),
        hints(events),
    ]


def group_of_tenants() -> Group:
    """Make a group for events that tenants' keys report, each of its own tenant."""
    return Group(_OF_TENANTS, _values_of_tenants)


def group_of_operator() -> Group:
    """Make a group for events that platform keys report, on connections of staff."""
    return Group(_OF_OPERATOR, _values_of_operator)


_tenants: Final = group_of_tenants()
_operator: Final = group_of_operator()


def take(event: Event, reporter: Reporter, credential: Credential) -> bool:
    """Take one event, committed when this returns; tell whether it was new.

    ``reporter`` names the hot connection, on which the gate has admitted the caller.

    Raises:
        kernel.errors.DomainError: what :func:`ingest` raises.
    """
    connection = reporter["connection"]
    if connection is None or len(bytes(event.data)) > LARGEST_DATA:
        return ingest([event], **reporter) == 1
    group = _operator if reporter["by_operator"] else _tenants
    return group.take(Single(event, reporter, credential), connection)
