"""Jobs: functions that the worker calls later, at least once, with plain JSON arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from kernel import tenancy
from kernel.events import DomainEvent, emit

JsonFunction = Callable[..., None]


class UnknownJobError(LookupError):
    """No such job is declared."""


@dataclass(frozen=True, slots=True)
class Job:
    """A declared job. It runs as staff and enters the tenants that it works for by itself.

    ``max_attempts`` counts all tries, those of workers that died included; after them the job is
    failed and stays for a person to look at.
    """

    name: str
    function: JsonFunction
    max_attempts: int
    cron: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequested(DomainEvent):
    """A job is to run; the relay moves it into the queue."""

    name: ClassVar[str] = "job.requested"

    job: str
    arguments: str


_jobs: dict[str, Job] = {}


def job(
    name: str, *, max_attempts: int = 8, cron: str | None = None
) -> Callable[[JsonFunction], Job]:
    """Declare a function as a job called ``name`` (``app.verb``); ``cron`` runs it by itself, UTC.

    Raises:
        ValueError: the name is taken.
    """

    def declare(function: JsonFunction) -> Job:
        if name in _jobs:
            raise ValueError(f"job {name} is declared twice")
        declared = Job(name, function, max_attempts, cron)
        _jobs[name] = declared
        return declared

    return declare


def enqueue(wanted: Job, **arguments: Any) -> None:
    """Ask for a run of the job in the open transaction: it runs if that commits, else never.

    Raises:
        kernel.db.TransactionRequiredError: no transaction is open.
        TypeError: an argument is no JSON.
    """
    emit(
        JobRequested(
            # The app may write the outbox for its own tenant only.
            tenant_id=tenancy.tenant_or_none(),
            job=wanted.name,
            arguments=orjson.dumps(arguments).decode(),
        )
    )


def named(name: str) -> Job:
    """Look up a declared job.

    Raises:
        UnknownJobError: none has the name.
    """
    try:
        return _jobs[name]
    except KeyError:
        raise UnknownJobError(name) from None


def declared() -> list[Job]:
    """List all declared jobs by name."""
    return sorted(_jobs.values(), key=lambda known: known.name)
