"""Taking events each for itself: what is sound is taken, whatever stands beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from billing.usage.cloudevents import Event, invalid
from billing.usage.services.ingest import UNSTORABLE, ingest_each, storable
from kernel.errors import FieldError, Invalid
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
    waiting = [_screened(line) for line in lines]
    sound = [line for line in waiting if isinstance(line, Event)]
    new = ingest_each(
        sound,
        tenant_id=tenant_id,
        by_operator=by_operator,
        key_id=key_id,
        connection=connection,
    )
    return _results(waiting, new)


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
