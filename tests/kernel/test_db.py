"""The alias of the context, nested transactions, work before the commit."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from django.db import DatabaseError, DataError, InterfaceError
from django.db.transaction import TransactionManagementError

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


def test_rows__values_of_all_kinds__come_back_typed(database):
    id_, at = uuid4(), datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    sql = (
        "SELECT $1::uuid, $2::timestamptz, $3::text, $4::bigint, $5::text[], $6::numeric, $7::text"
    )
    values = [id_, at, "it's", 2**40, ["a", "b,c"], Decimal("1.50"), None]
    assert db.rows(sql, values) == [tuple(values)]
    assert db.rows("SELECT 1 WHERE false") == []


def test_rows__asked_again__is_prepared_once(database):
    sql = "SELECT $1::int + 40 AS prepared_by_test_rows"
    with db.atomic():
        assert [db.rows(sql, [number]) for number in (1, 2)] == [[(41,)], [(42,)]]
        kept = db.rows(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1::text", [sql]
        )
    assert kept == [(1,)]


def test_rows__in_transaction__are_part_of_it(database):
    sql = "SELECT set_config('app.tenant', $1::text, true)"
    before = db.rows("SELECT current_setting('app.tenant')")
    with pytest.raises(ZeroDivisionError), db.atomic():
        db.rows(sql, ["within"])
        assert db.rows("SELECT current_setting('app.tenant')") == [("within",)]
        raise ZeroDivisionError
    assert db.rows("SELECT current_setting('app.tenant')") == before != [("within",)]


def test_rows__refused__is_django_s_error_and_ends_the_transaction(database):
    with pytest.raises(DataError), db.atomic():
        db.rows("SELECT 1 / $1::int", [0])
    with pytest.raises(TransactionManagementError), db.atomic():
        db.connection().set_rollback(True)
        db.rows("SELECT 1")


def test_rows__slow_or_counted__pass_the_wrappers_of_the_connection(database):
    seen = []

    def note(execute, sql, params, many, context):
        seen.append((sql, params, context["connection"].alias))
        return execute(sql, params, many, context)

    with db.connection().execute_wrapper(note):
        assert db.rows("SELECT $1::int", [7]) == [(7,)]
    assert seen == [("SELECT $1::int", [7], "default")]


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
