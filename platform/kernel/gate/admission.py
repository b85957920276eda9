"""Ask the gate: admit a request, verify a presented key."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from kernel import db
from kernel.gate import keys, peppers
from kernel.gate.limits import Counts, Limit, standing
from kernel.gate.turns import Turns
from kernel.gate.wire import HotConnection, Row, Statement, Value
from kernel.tenancy.context import set_next

ADMIT = Statement(
    "gate_admit",
    "SELECT * FROM gate.admit($1, $2::bytea[], $3, $4::uuid, $5::inet, $6, $7::bigint)",
    parameters=7,
)
VERIFY = Statement(
    "gate_verify",
    "SELECT * FROM gate.verify($1, $2::bytea[], $3::inet, $4, $5, $6::bytea[], $7::inet,"
    " $8::text[], $9, $10::bigint, $11, $12::numeric)",
    parameters=12,
)


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate's answer about the caller of a request. ``code`` is VALID where it is admitted.

    ``now_us`` is the gate's clock at the decision, in microseconds; 0 where none was asked.
    """

    code: str
    key_id: UUID | None = None
    lineage: UUID | None = None
    kind: str = ""
    tenant_id: UUID | None = None
    permissions: frozenset[str] = frozenset()
    config_version: int = 0
    entitlement_version: int = 0
    limits: Sequence[Limit] = ()
    now_us: int = 0


@dataclass(frozen=True, slots=True)
class Verification:
    """The gate's answer about a presented key; ``caller_code`` is about the one who asked."""

    caller_code: str
    code: str = ""
    key_id: UUID | None = None
    tenant_id: UUID | None = None
    permissions: tuple[str, ...] = ()
    limits: Sequence[Limit] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a presented key: see ``gate.verify`` in kernel/sql/gate.sql.

    ``alternatives`` are sets of permissions, one of which must be covered whole.
    """

    key: str
    ip: str | None = None
    alternatives: Sequence[Sequence[str]] | None = None
    feature: str | None = None
    cost: int = 1
    meter: str | None = None
    quantity: Decimal = Decimal(0)


def admit(
    connection: HotConnection | None,
    key: str,
    *,
    ip: str | None,
    permission: str | None,
    platform_only: bool = False,
    named_tenant: UUID | None = None,
    cost: int = 1,
) -> Admission:
    """Admit or refuse one request and set its tenant on the connection.

    ``connection`` None asks on Django's connection of the current alias, which the request then
    keeps using with its tenant set. One round trip either way; none for a malformed key.

    Raises:
        kernel.errors.Unavailable: the gate does not answer.
    """
    parsed = keys.parse(key)
    if parsed is None:
        return Admission("NOT_FOUND")
    public_id, secret = parsed
    values: list[Value] = [
        public_id.encode(),
        _byte_array(keys.macs(secret, peppers.active())),
        b"platform" if platform_only else None,
        str(named_tenant).encode() if named_tenant else None,
        ip.encode() if ip else None,
        permission.encode() if permission else None,
        str(cost).encode(),
    ]
    if connection is not None:
        return _admission(connection.row(ADMIT, values), cost)
    with set_next():
        row = db.prepared_row(ADMIT.name, ADMIT.sql, values)
    return _admission(row, cost)


def verify(
    connection: HotConnection | Turns | None,
    caller: str,
    question: Question,
    *,
    ip: str | None,
    permission: str,
) -> Verification:
    """Answer a caller's question about a key, and count its use where the answer is VALID.

    With ``question.meter`` the call belongs inside the caller's transaction (``connection`` None),
    which records the use that the quota was checked for.

    Raises:
        kernel.errors.Unavailable: the gate does not answer.
    """
    parsed_caller = keys.parse(caller)
    if parsed_caller is None:
        return Verification("NOT_FOUND")
    # A malformed key is asked about all the same: the caller's own state decides the status.
    public_id, secret = keys.parse(question.key) or ("", "")
    alternatives = question.alternatives
    values: list[Value] = [
        parsed_caller[0].encode(),
        _byte_array(keys.macs(parsed_caller[1], peppers.active())),
        ip.encode() if ip else None,
        permission.encode(),
        public_id.encode(),
        _byte_array(keys.macs(secret, peppers.active())),
        question.ip.encode() if question.ip else None,
        None if alternatives is None else _text_array([" ".join(x) for x in alternatives]),
        question.feature.encode() if question.feature else None,
        str(question.cost).encode(),
        question.meter.encode() if question.meter else None,
        str(question.quantity).encode(),
    ]
    return _verification(_ask(connection, VERIFY, values), question)


def _ask(
    connection: HotConnection | Turns | None, statement: Statement, values: list[Value]
) -> Row:
    if connection is not None:
        return connection.row(statement, values)
    return db.prepared_row(statement.name, statement.sql, values)


def _admission(row: Row, cost: int) -> Admission:
    code = _text(row[0])
    limits: Sequence[Limit] = ()
    if row[9] is not None:
        limits = _limits(row[8:19], cost, refused=code == "LIMITED")
    return Admission(
        code,
        _uuid(row[1]),
        _uuid(row[2]),
        _text(row[3]),
        _uuid(row[4]),
        frozenset(array_items(row[5])),
        _int(row[6]) or 0,
        _int(row[7]) or 0,
        limits,
        _int(row[8]) or 0,
    )


def _verification(row: Row, question: Question) -> Verification:
    code = _text(row[1])
    limits: Sequence[Limit] = ()
    if row[6] is not None:
        limits = _limits(row[5:16], question.cost, refused=code in ("LIMITED", "QUOTA_EXCEEDED"))
    if row[16] is not None and row[17] is not None:
        limits = [*limits, _quota(row, question, refused=code == "QUOTA_EXCEEDED")]
    if code in ("LIMITED", "QUOTA_EXCEEDED"):
        burst = any(limit.exceeded and limit.name.endswith("burst") for limit in limits)
        code = "RATE_LIMITED" if burst else "USAGE_EXCEEDED"
    return Verification(
        _text(row[0]), code, _uuid(row[2]), _uuid(row[3]), array_items(row[4]), limits
    )


def _limits(row: Row, cost: int, *, refused: bool) -> list[Limit]:
    now, k_used, k_tat, t_used, t_tat, *limits = (_int(value) for value in row)
    key = Counts(k_used or 0, k_tat or 0, *limits[:3])
    tenant = Counts(t_used or 0, t_tat or 0, *limits[3:])
    return standing(key, tenant, now or 0, cost, refused=refused)


def _quota(row: Row, question: Question, *, refused: bool) -> Limit:
    limit, used = Decimal(_text(row[17])), Decimal(_text(row[16]))
    left = limit - used - (0 if refused else question.quantity)
    reset = _int(row[18]) or 0
    return Limit(question.meter or "", int(limit), reset, max(int(left), 0), reset, refused)


def _text(value: Value) -> str:
    return "" if value is None else value.decode()


def _int(value: Value) -> int | None:
    return None if value is None else int(value)


@lru_cache(maxsize=16_384)
def _uuid(value: Value) -> UUID | None:
    return None if value is None else UUID(value.decode())


@lru_cache(maxsize=4096)
def array_items(value: Value) -> tuple[str, ...]:
    """Read a text[] whose items need no quoting (permissions): ``{a:b,c:d}``."""
    if value is None or value == b"{}":
        return ()
    return tuple(value[1:-1].decode().split(","))


def _text_array(items: Sequence[str]) -> bytes:
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return ("{" + ",".join(f'"{item}"' for item in quoted) + "}").encode()


def _byte_array(items: Sequence[bytes]) -> bytes:
    return ("{" + ",".join(f'"\\\\x{item.hex()}"' for item in items) + "}").encode()
