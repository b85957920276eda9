"""The alias of the context, nested transactions, work before the commit."""

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError

from kernel import db
from kernel.gate.wire import conninfo


def role():
    with db.cursor() as cursor:
        cursor.execute("SELECT session_user")
        return cursor.fetchone()[0]


def test_use_alias__nested__speaks_as_the_innermost_role(database):
    assert role() == "innkeeper_app"
    with db.use_alias("staff"):
        assert role() == "innkeeper_staff"
        with db.use_alias("owner"):
            assert role() == "innkeeper_owner"
        assert role() == "innkeeper_staff"


def test_before_commit__registered_in_nested_block__runs_once_at_the_outermost_end(database):
    ran = []

    def callback():
        ran.append(db.in_transaction())

    with db.atomic():
        with db.atomic():
            db.before_commit(callback)
            db.before_commit(callback)
        assert ran == []
    assert ran == [True]
    assert not db.in_transaction()


def test_before_commit__rolled_back__never_runs_and_is_forgotten(database):
    ran = []
    with pytest.raises(ZeroDivisionError), db.atomic():
        db.before_commit(lambda: ran.append(1))
        raise ZeroDivisionError
    with db.atomic():
        pass
    assert ran == []


def test_before_commit__registers_another__runs_it_too(database):
    ran = []

    def second():
        ran.append("second")

    def first():
        ran.append("first")
        db.before_commit(second)

    with db.atomic():
        db.before_commit(first)
    assert ran == ["first", "second"]


def test_before_commit__fails__nothing_is_committed(database):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), db.atomic():
        with db.cursor() as cursor:
            cursor.execute("SELECT txid_current()")
        db.before_commit(fail)


def test_before_commit__without_transaction__refused(database):
    with pytest.raises(db.TransactionRequiredError):
        db.before_commit(lambda: None)


def test_prepared_row__in_transaction__is_part_of_it(database):
    with db.atomic():
        [first] = db.prepared_row("test_xid", "SELECT pg_current_xact_id()::text", [])
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            assert cursor.fetchone()[0] == first.decode()


def test_prepared_row__autocommit__each_its_own(database):
    found = {
        bytes(db.prepared_row("test_xid", "SELECT pg_current_xact_id()::text", [])[0])
        for _ in range(3)
    }
    assert len(found) == 3


def test_recover__session_was_ended__next_use_reconnects(database):
    with db.use_alias("staff"):
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [first] = cursor.fetchone()
        with psycopg.connect(conninfo("staff"), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [first])
        with pytest.raises((DatabaseError, InterfaceError)), db.cursor() as cursor:
            cursor.execute("SELECT 1")
        db.recover()
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [second] = cursor.fetchone()
    assert second != first
