"""What a verification finds: one verdict for each fault, and where."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class Verdict(StrEnum):
    """The kinds of fault, and of what is no fault but must be told."""

    INVALID = "invalid"  # stored data differs from what was sealed or signed
    MISSING = "missing"  # a sealed entry's bytes are gone
    EMPTIED = "emptied"  # those of all entries up to a place are: what TRUNCATE leaves
    REORDERED = "reordered"  # the sealed entries stand at each other's places
    REBUILT = "rebuilt"  # the tree agrees with itself and not with a state that was signed
    WITHDRAWN = "withdrawn"  # a checkpoint that left the process is no longer stored
    BEHIND = "behind"  # a whole log lacks published states: what an older dump leaves
    UNSIGNED = "unsigned"  # a checkpoint has no good signature of a key of this instance
    GAP = "gap"  # places are not dense, or sealed places have disappeared
    ABSENT = "absent"  # nothing at all is stored of a tenant that was asked for
    UNSEALED = "unsealed"  # a committed entry has had no place for too long
    UNOPENED = "unopened"  # a committed personal value's opening is gone, and no erasure says so
    ERASED = "erased"  # one whose opening was erased, as a sealed entry says: no fault
    PRUNED = "pruned"  # bytes gone as a signed announcement and an entry of the log say: no fault


FAULTS = frozenset(Verdict) - {Verdict.ERASED, Verdict.PRUNED}
_MOST_KEPT = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: in which log, at which place (None: not at one place), and what is wrong."""

    verdict: Verdict
    detail: str
    index: int | None = None


@dataclass(slots=True)
class LogReport:
    """The outcome for one log."""

    log_id: UUID
    origin: str
    tenant_id: UUID
    size: int
    checked: int = 0
    counts: dict[Verdict, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, verdict: Verdict, detail: str, index: int | None = None) -> None:
        """Count a finding; the first hundred are kept with their places."""
        self.note(verdict)
        if len(self.findings) < _MOST_KEPT:
            self.findings.append(Finding(verdict, detail, index))

    def note(self, verdict: Verdict, count: int = 1) -> None:
        """Count what needs no place of its own."""
        if count:
            self.counts[verdict] = self.counts.get(verdict, 0) + count

    def merge(self, former: Verdict, verdict: Verdict, detail: str, index: int) -> None:
        """Name faults of one kind, which only together show what was done, by one finding."""
        self.counts[verdict] = self.counts.pop(former)
        kept = [one for one in self.findings if one.verdict is not former]
        self.findings = [Finding(verdict, detail, index), *kept]

    def tell(self, verdict: Verdict, detail: str, index: int | None = None) -> None:
        """Name what is no fault and was counted already, up to the same number of findings."""
        if len(self.findings) < _MOST_KEPT:
            self.findings.append(Finding(verdict, detail, index))

    @property
    def valid(self) -> bool:
        """Tell whether no fault was found."""
        return not FAULTS.intersection(self.counts)

    @property
    def first_bad(self) -> int | None:
        """Return the lowest place with a fault."""
        places = [
            finding.index
            for finding in self.findings
            if finding.index is not None and finding.verdict in FAULTS
        ]
        return min(places, default=None)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome for all logs looked at."""

    logs: tuple[LogReport, ...]
    seconds: float

    @property
    def valid(self) -> bool:
        """Tell whether every log is without fault."""
        return all(log.valid for log in self.logs)

    @property
    def checked(self) -> int:
        """Return how many entries were hashed."""
        return sum(log.checked for log in self.logs)
