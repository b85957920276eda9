"""A request's checkout leaves the tenant to the gate, and to nobody if the gate fails."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.utils import DataError

from kernel import db
from kernel.gate.admission import admit
from kernel.gate.keys import TENANT, mint
from kernel.ids import new_id
from kernel.tenancy.context import set_next
from tests.kernel.gate.credentials import make_key, make_tenant


@pytest.fixture
def left_behind() -> Iterator[UUID]:
    """The tenant that an earlier use of this thread's connection left set."""
    tenant = new_id()
    with db.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant)])
    yield tenant
    connections["default"].close()


def checked_out() -> None:
    """Say that the connection was checked out now, as Django does."""
    connection_created.send(sender=None, connection=db.connection())


def setting() -> str:
    with db.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.tenant', true)")
        return str(cursor.fetchone()[0])


def test_checkout__gate_next__asks_nothing_by_itself(left_behind):
    with set_next():
        checked_out()
        assert setting() == str(left_behind)
    checked_out()
    assert setting() == ""


def test_admission__unknown_key__clears_what_was_left(left_behind):
    assert admit(None, mint(TENANT).text, ip=None, permission=None).code == "NOT_FOUND"
    assert setting() == ""


def test_admission__known_key__sets_its_own_tenant(left_behind):
    tenant = make_tenant()
    key = make_key(tenant)
    assert admit(None, key.text, ip=None, permission=None).code == "VALID"
    assert setting() == str(tenant)


def test_checkout__gate_that_fails__gives_the_connection_back(left_behind):
    with pytest.raises(DataError), set_next(), db.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert connections["default"].connection is None
    assert setting() == ""
