"""Admit many callers at once: one statement for all who are nothing out of the ordinary.

Whom gate.admit_many leaves out (a refusal, a limit too near, a change that is due) has ``None``
here and asks :func:`kernel.gate.admission.admit` alone: docs/adr/0136.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from uuid import UUID

from kernel.gate.admission import Admission
from kernel.gate.limits import Counts, Limit, standing
from kernel.gate.presented import Credential
from kernel.gate.wire import HotConnection, Row, Statement, Value

_ADMIT_MANY: Final = Statement(
    "gate_admit_many",
    "SELECT * FROM gate.admit_many($1::text[], $2::bytea[], $3::inet[], $4::bigint[], $5)",
    parameters=5,
)
_NULL: Final = b"NULL"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: what was presented, and the address it came from."""

    credential: Credential
    ip: str | None


@dataclass(slots=True)
class _Key:
    """A presented key with its callers' places; no ``ip`` where they come from several."""

    credential: Credential
    ip: str | None
    callers: list[int]


@dataclass(slots=True)
class _Counter:
    """How a counter stands when all have been counted, and how many of them are not yet told."""

    used: int
    tat_us: int
    left: int = 0

    def next(self, limits: Sequence[int | None]) -> Counts:
        """Give the figures after one more caller's request: as if it had come by itself."""
        self.left -= 1
        interval = limits[1]
        tat = self.tat_us if interval is None else self.tat_us - self.left * interval
        return Counts(self.used - self.left, tat, *limits)


@dataclass(slots=True)
class _Answer:
    """The columns of gate.admit_many, by what they are about."""

    now_us: int
    keys: list[list[bytes]]
    counters: dict[bytes, _Counter]
    spoilt: frozenset[bytes] = field(default_factory=frozenset)


def admit_many(
    connection: HotConnection, callers: Sequence[Caller], permission: str
) -> list[Admission | None]:
    """Admit callers with tenants' keys, one request each; None for whoever has to ask alone.

    The connection has no tenant afterwards. Who is admitted is counted, and nobody else.

    Raises:
        kernel.errors.Unavailable: the gate does not answer, or a counter was locked for long.
        StatementError: any other refusal. Nobody is admitted or counted.
    """
    keys = _by_key(callers)
    answer = _read(connection.row(_ADMIT_MANY, _values(keys, permission)))
    found: list[Admission | None] = [None] * len(callers)
    admitted = [column for column in answer.keys if column[3] not in answer.spoilt]
    for place, _, counts_as, tenant, *_ in admitted:
        many = len(keys[int(place) - 1].callers)
        answer.counters[counts_as].left += many
        answer.counters[tenant].left += many
    for columns in admitted:
        for caller in keys[int(columns[0]) - 1].callers:
            found[caller] = _admission(columns, answer)
    return found


def _by_key(callers: Sequence[Caller]) -> list[_Key]:
    keys: dict[Credential, _Key] = {}
    for place, caller in enumerate(callers):
        key = keys.get(caller.credential)
        if key is None:
            keys[caller.credential] = _Key(caller.credential, caller.ip, [place])
        else:
            key.callers.append(place)
            if key.ip != caller.ip:
                key.ip = None
    return list(keys.values())


def _values(keys: list[_Key], permission: str) -> list[Value]:
    macs = [f'"\\\\x{mac.hex()}"' for key in keys for mac in key.credential.macs]
    return [
        _array([key.credential.public_id for key in keys]),
        _array(macs),
        _array([key.ip or "NULL" for key in keys]),
        _array([str(len(key.callers)) for key in keys]),
        permission.encode(),
    ]


def _array(items: list[str]) -> bytes:
    return ("{" + ",".join(items) + "}").encode()


def _read(row: Row) -> _Answer:
    subjects, used, tats = (_items(value) for value in row[15:18])
    counters = {
        subject: _Counter(int(use), int(tat))
        for subject, use, tat in zip(subjects, used, tats, strict=True)
    }
    keys = [list(columns) for columns in zip(*map(_items, _ordered(row)), strict=True)]
    return _Answer(int(row[0] or 0), keys, counters, frozenset(_items(row[18])))


def _ordered(row: Row) -> list[Value]:
    """Give place, key, what it counts as, tenant; then lineage, permissions, versions, limits."""
    return [row[1], row[2], row[3], row[5], row[4], *row[6:15]]


def _items(value: Value) -> list[bytes]:
    """Read an array whose items need no quoting."""
    return value[1:-1].split(b",") if value is not None and value != b"{}" else []


def _admission(columns: list[bytes], answer: _Answer) -> Admission:
    _, key_id, counts_as, tenant, lineage, permissions, config, entitlement, *limits = columns
    numbers = [None if limit == _NULL else int(limit) for limit in limits]
    key = answer.counters[counts_as].next(numbers[:3])
    whole = answer.counters[tenant].next(numbers[3:])
    found: Sequence[Limit] = standing(key, whole, answer.now_us, 1, refused=False)
    return Admission(
        "VALID",
        _uuid(key_id),
        _uuid(lineage),
        "tenant",
        _uuid(tenant),
        _permissions(permissions),
        int(config),
        int(entitlement),
        found,
    )


@lru_cache(maxsize=16_384)
def _uuid(text: bytes) -> UUID:
    return UUID(text.decode())


@lru_cache(maxsize=4096)
def _permissions(text: bytes) -> frozenset[str]:
    """Read permissions parted by bars; a key without any is admitted to nothing."""
    return frozenset(text.decode().split("|"))
