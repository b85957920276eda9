"""The suite's own database: nothing that was made before it came up outlives its coming up."""

from django.db.backends.postgresql.base import DatabaseWrapper

from kernel import db
from tests.database import SessionDatabase


class Pool:
    """A pool that points nowhere, as Django makes one for an alias that it is told to close."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_elsewhere__pools_made_before__are_closed_and_forgotten(database: SessionDatabase) -> None:
    stale = Pool()
    DatabaseWrapper._connection_pools["default"] = stale

    with database.elsewhere(), db.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        there = cursor.fetchone()

    with db.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        here = cursor.fetchone()
    assert stale.closed
    assert there != here
