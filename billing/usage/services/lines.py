"""Taking events each for itself: what is sound is taken, whatever stands beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from billing.usage.cloudevents import Event, invalid
from billing.usage.services.ingest import UNSTORABLE, Reporter, ingest_each, storable
from kernel.errors import FieldError, Invalid
from kernel.gate.presented import resume
from kernel.gate.wire import HotConnection


class Outcome(StrEnum):
    """What became of one line."""

    NEW = "new"
    REPEAT = "repeat"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Result:
    """One line's outcome; ``id`` is empty and ``faults`` say why where it was no event."""

    outcome: Outcome
    id: str = ""
    faults: tuple[FieldError, ...] = ()


def ingest_lines(
    lines: Sequence[Event | Invalid],
    *,
    tenant_id: UUID | None,
    by_operator: bool,
    key_id: UUID | None,
    connection: HotConnection | None,
) -> list[Result]:
    """Take the sound events in one commit and tell each line's outcome, in order.

    Raises:
        kernel.errors.Unavailable: the database does not answer; sending all again is safe.
    """
    reporter: Reporter = {
        "tenant_id": tenant_id,
        "by_operator": by_operator,
        "key_id": key_id,
        "connection": connection,
    }
    waiting = [_screened(line) for line in lines]
    try:
        return _taken(waiting, reporter)
    except Invalid as refused:
        # Events of archived months: what is left of the lines is taken without them.
        late = {int(fault.pointer[1:]): fault for fault in refused.errors}
    if connection is not None and tenant_id is not None and not by_operator:
        resume(connection, tenant_id)
    return _taken(_without(waiting, late), reporter)


def _taken(lines: list[Event | Invalid], reporter: Reporter) -> list[Result]:
    sound = [line for line in lines if isinstance(line, Event)]
    return _results(lines, ingest_each(sound, **reporter))


def _without(lines: list[Event | Invalid], late: dict[int, FieldError]) -> list[Event | Invalid]:
    """Put the reasons in the places of the sound lines that were refused."""
    place = -1
    left: list[Event | Invalid] = []
    for line in lines:
        place += isinstance(line, Event)
        if isinstance(line, Event) and place in late:
            fault = late[place]
            left.append(invalid([FieldError("", fault.code, fault.message)]))
        else:
            left.append(line)
    return left


def _screened(line: Event | Invalid) -> Event | Invalid:
    """Refuse what PostgreSQL cannot keep beforehand: its refusal would be of all lines."""
    if isinstance(line, Invalid) or storable(line):
        return line
    return invalid([FieldError("", "unstorable", UNSTORABLE)])


def _results(lines: Sequence[Event | Invalid], new: set[int]) -> list[Result]:
    results = []
    place = 0
    for line in lines:
        if isinstance(line, Event):
            results.append(Result(Outcome.NEW if place in new else Outcome.REPEAT, line.id))
            place += 1
        else:
            results.append(Result(Outcome.INVALID, faults=line.errors))
    return results
