"""The alias of the context, nested transactions, work before the commit."""

import os
import socket
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    transaction,
)
from django.db.transaction import TransactionManagementError
from psycopg import pq

from kernel import db
from kernel.gate.wire import conninfo


def role():
    with db.cursor() as cursor:
        cursor.execute("SELECT session_user")
        return cursor.fetchone()[0]


def test_showmigrations__without_a_database_named__reads_as_the_owner(database):
    told = StringIO()
    call_command("showmigrations", "billing", stdout=told)

    assert "[X] 0001_usage" in told.getvalue()
    assert "[ ]" not in told.getvalue()


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


GIVEN = "SELECT set_config('test.last', $1::text, false)"
"""A session's setting made in a transaction is there only once that has committed."""


def given() -> str | None:
    return db.rows("SELECT current_setting('test.last', true)")[0][0]


def test_prepared_last__end_of_the_block__runs_after_the_callbacks_and_commits(database):
    order, name = [], uuid4().hex
    with db.atomic():
        before = db.rows("SELECT pg_current_xact_id()::text")[0][0]
        db.prepared_last("test_last", GIVEN, [name.encode()])
        db.before_commit(lambda: order.append(("callback", given() == name)))
        transaction.on_commit(lambda: order.append(("committed", given() == name)))
    assert order == [("callback", False), ("committed", True)]
    assert db.rows("SELECT pg_xact_status($1::text::xid8)", [before]) == [("committed",)]
    assert not db.in_transaction()


def test_prepared_last__when_django_commits__has_committed(database, monkeypatch):
    wrapper, seen = db.connection(), []
    commit = wrapper.commit

    def watched():
        seen.append(wrapper.connection.pgconn.transaction_status)
        commit()

    monkeypatch.setattr(wrapper, "commit", watched)
    with db.atomic():
        db.rows("SELECT 1")
        db.prepared_last("test_last", GIVEN, [b"together"])
    with db.atomic():
        db.prepared_last("test_last", GIVEN, [b"alone"])
    with db.atomic():
        db.rows("SELECT 1")
    idle, open_ = pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS
    assert (seen, given()) == ([idle, idle, open_], "alone")


def test_prepared_last__two__run_in_their_order(database):
    with db.atomic():
        db.prepared_last("test_last", GIVEN, [b"first"])
        db.prepared_last("test_last", GIVEN, [b"second"])
        assert given() == "first"
    assert given() == "second"


def test_prepared_last__rolled_back__never_runs_and_is_forgotten(database):
    name = uuid4().hex.encode()
    with pytest.raises(ZeroDivisionError), db.atomic():
        db.prepared_last("test_last", GIVEN, [name])
        raise ZeroDivisionError
    with db.atomic():
        db.prepared_last("test_last", GIVEN, [name])
        db.connection().set_rollback(True)
    with db.atomic():
        db.rows("SELECT 1")
    assert given() != name.decode()


def test_prepared_last__refused__rolls_all_back_and_leaves_the_connection_well(database):
    pid = db.rows("SELECT pg_backend_pid()")
    with pytest.raises(DataError), db.atomic():
        xid = db.rows("SELECT pg_current_xact_id()::text")[0][0]
        db.prepared_last("test_last_refused", "SELECT 1 / $1::int", [b"0"])
    assert db.rows("SELECT pg_xact_status($1::text::xid8)", [xid]) == [("aborted",)]
    assert db.rows("SELECT pg_backend_pid()") == pid


def test_prepared_last__commit_refused__rolls_all_back(database):
    """As the guard does it: a constraint that is looked at when the transaction commits."""
    with db.use_alias("owner"):
        table = f"last_{uuid4().hex}"
        with db.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {table} (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        try:
            insert = f"INSERT INTO {table} VALUES ($1::int)"
            with pytest.raises(IntegrityError), db.atomic():
                db.rows(insert, [1])
                db.prepared_last(f"test_{table}", insert, [b"1"])
            assert db.rows(f"SELECT count(*) FROM {table}") == [(0,)]
        finally:
            with db.cursor() as cursor:
                cursor.execute(f"DROP TABLE {table}")


def test_prepared_last__session_ended__raises_and_the_next_use_reconnects(database):
    with db.use_alias("staff"):
        with pytest.raises((DatabaseError, InterfaceError)), db.atomic():
            pid = db.rows("SELECT pg_backend_pid()")[0][0]
            db.prepared_last("test_last", "SELECT $1::text", [b"x"])
            with psycopg.connect(conninfo("staff"), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        db.recover()
        assert db.rows("SELECT pg_backend_pid()") != [(pid,)]


def cut_off() -> None:
    """Let the server be gone without a word, as after kill -9."""
    db.connection().ensure_connection()
    number = db.connection().connection.pgconn.socket
    with socket.socket(fileno=os.dup(number)) as line:
        line.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("known", [True, False], ids=["prepared", "new"])
def test_prepared_row__server_gone_without_a_word__is_operational_and_the_next_use_reconnects(
    database, known
):
    name = f"test_gone_{uuid4().hex}"
    if known:
        db.prepared_row(name, "SELECT 1", [])
    cut_off()

    with pytest.raises(OperationalError):
        db.prepared_row(name, "SELECT 1", [])

    db.recover()
    assert db.prepared_row(name, "SELECT 1", []) == [b"1"]


def test_prepared_last__server_gone_without_a_word__is_operational(database):
    with pytest.raises(OperationalError), db.atomic():
        db.rows("SELECT 1")
        db.prepared_last("test_last", GIVEN, [b"x"])
        cut_off()

    db.recover()
    assert db.rows("SELECT 1") == [(1,)]


def test_prepared_last__inside_a_transaction_of_django__is_refused(database):
    with pytest.raises(db.TransactionRequiredError), transaction.atomic():
        db.prepared_last("test_last", GIVEN, [b"x"])


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
