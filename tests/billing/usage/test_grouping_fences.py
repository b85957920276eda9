"""What keeps a group's statement from writing into a tenant whose key was not presented."""

from collections.abc import Iterator

import pytest

from billing.usage.literals import array
from kernel.gate.admission import admit
from kernel.gate.presented import credential
from kernel.gate.wire import HotConnection, Statement, StatementError
from tests.billing.house import House, make_house
from tests.billing.usage.door import ledger
from tests.billing.usage.reports import word


@pytest.fixture
def connection() -> Iterator[HotConnection]:
    """A connection of the application's own role."""
    found = HotConnection()
    yield found
    found.close()


def test_group__another_tenant_than_the_keys__is_refused_twice(house, connection):
    other = make_house("enterprise")
    presented = credential(other.key)
    assert presented is not None
    admit(connection, other.key, ip=None, permission="events:write")
    statement = Statement(
        "forged",
        "SELECT billing_usage_ingest_group($1::uuid[], $2::text[], $3::text[], $4::bytea[],"
        " '{x}', '{x}', '{x}', '{x}', '{NULL}', '{NULL}', NULL)",
        parameters=4,
    )

    def ask(tenant: House, public_id: str, mac: bytes) -> str:
        values = [
            array([tenant.id]),
            array([public_id]),
            array([public_id]),
            array([rf"\x{mac.hex()}"]),
        ]
        with pytest.raises(StatementError) as refused:
            connection.row(statement, values)
        return refused.value.sqlstate

    mine = credential(house.key)
    assert mine is not None
    assert ask(house, presented.public_id, presented.macs[0]) == "42501"
    assert ask(house, mine.public_id, presented.macs[0]) == "42501"
    assert ledger("x") == []


def test_group__helpers_of_the_owner__are_closed_to_the_application(house, connection):
    for call in (
        "gate.presented('{}', '{}')",
        "gate.count_usage('{}', '{}', '{}', '{}')",
    ):
        with pytest.raises(StatementError) as refused:
            connection.row(Statement(word(), f"SELECT {call}", parameters=0), [])
        assert refused.value.sqlstate == "42501"


def test_group__take_as_the_application__is_held_by_the_tenants_fence(house, connection):
    other = make_house("enterprise")
    admit(connection, house.key, ip=None, permission="events:write")
    statement = Statement(
        "taken",
        "SELECT billing_usage_take($1::uuid[], $1::uuid[], '{NULL}', '{x}', '{x}', '{x}', '{x}',"
        " '{NULL}', '{NULL}', NULL, NULL)",
        parameters=1,
    )

    with pytest.raises(StatementError) as refused:
        connection.row(statement, [array([other.id])])

    assert refused.value.sqlstate == "42501"
