"""What a caller presented, kept for as long as its request: proof for work in a group.

A statement that works for several tenants cannot rely on the connection's tenant. It takes what
each caller presented instead, and the database looks up whose that is (``gate.presented``).
"""

from dataclasses import dataclass
from uuid import UUID

from kernel.gate import keys, peppers
from kernel.gate.wire import HotConnection, Statement

_RESUME = Statement("gate_resume", "SELECT set_config('app.tenant', $1, false)", parameters=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """A key's public id, and its secret's MAC under each active pepper."""

    public_id: str
    macs: tuple[bytes, ...]


def credential(key: str) -> Credential | None:
    """Read a presented key; None for anything that is no key."""
    parsed = keys.parse(key)
    if parsed is None:
        return None
    return Credential(parsed[0], tuple(keys.macs(parsed[1], peppers.active())))


def resume(connection: HotConnection, tenant_id: UUID) -> None:
    """Set the tenant that the gate has admitted anew, on a connection that was lost since.

    Raises:
        kernel.errors.Unavailable: the database does not answer.
    """
    connection.row(_RESUME, [str(tenant_id).encode()])
