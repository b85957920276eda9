"""What a check says."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is. Only ``FAILED`` makes the doctor's exit status 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one subject, and what to do where something is wrong."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A named look at one thing. ``look`` gives one finding at least and does not raise.

    ``needs_database`` checks run as staff in autocommit, and only while the database answers.
    """

    name: str
    look: Callable[[], list[Finding]]
    needs_database: bool = True


def ok(check: str, detail: str) -> Finding:
    """Say that all is well."""
    return Finding(check, Verdict.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    """Say that something will need care soon."""
    return Finding(check, Verdict.WARNING, detail, remedy)


def failed(check: str, detail: str, remedy: str) -> Finding:
    """Say that something is broken or unsafe."""
    return Finding(check, Verdict.FAILED, detail, remedy)
