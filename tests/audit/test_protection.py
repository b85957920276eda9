"""What the database itself refuses, whoever asks; and the guard of critical tables."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.db.utils import DatabaseError, IntegrityError, ProgrammingError

from audit.guard import AuditGuard
from kernel import db
from kernel.tenancy import across_tenants, tenant_context
from tests.audit.logs import change, rows, say

APPEND_ONLY = (
    "audit_event",
    "audit_blob",
    "audit_leaf",
    "audit_node",
    "audit_checkpoint",
    "audit_heads_entry",
    "audit_anchor",
)


@pytest.mark.parametrize("alias", ["default", "staff", "sealer"])
@pytest.mark.parametrize("table", [*APPEND_ONLY, "audit_pii"])
@pytest.mark.parametrize(
    "verb", ["UPDATE {0} SET tenant_id = tenant_id", "DELETE FROM {0}", "TRUNCATE {0}"]
)
def test_privileges__no_role__may_change_the_log(alias: str, table: str, verb: str) -> None:
    with (
        db.use_alias(alias),
        db.cursor() as cursor,
        pytest.raises(ProgrammingError, match="permission denied"),
    ):
        cursor.execute(verb.format(table))


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_triggers__owner__is_refused_too(table: str) -> None:
    with (
        db.use_alias("owner"),
        db.cursor() as cursor,
        pytest.raises(ProgrammingError, match="append-only"),
    ):
        cursor.execute(f"TRUNCATE {table}")
    armed = rows(
        "SELECT tgname, tgenabled FROM pg_trigger "
        "WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY 1",
        table,
    )
    assert armed == [("audit_refuse_change", "A"), ("audit_refuse_truncate", "A")]


def test_triggers__owner_edits_a_row__is_refused(tenant_id: UUID) -> None:
    change()
    with db.use_alias("owner"), db.cursor() as cursor:
        for statement in ("UPDATE audit_event SET action = 'x.y'", "DELETE FROM audit_event"):
            with pytest.raises(ProgrammingError, match="append-only"):
                cursor.execute(statement)


def test_partitions__each__has_triggers_fence_and_no_privileges() -> None:
    partitions = rows(
        "SELECT c.oid::regclass::text, c.relrowsecurity AND c.relforcerowsecurity, "
        " (SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger "
        "  WHERE tgrelid = c.oid AND tgenabled = 'A'), "
        " (SELECT bool_or(has_table_privilege("
        "    r, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')) "
        "  FROM unnest(ARRAY['innkeeper_app', 'innkeeper_staff', 'innkeeper_sealer']) r) "
        "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'audit_event'::regclass"
    )
    assert len(partitions) >= 5
    for name, fenced, triggers, open_to_roles in partitions:
        assert fenced, name
        assert triggers == ["audit_refuse_change", "audit_refuse_truncate"], name
        assert not open_to_roles, name


def test_partition__truncated_directly__is_refused() -> None:
    with (
        db.use_alias("owner"),
        db.cursor() as cursor,
        pytest.raises(ProgrammingError, match="append-only"),
    ):
        cursor.execute("TRUNCATE audit_event_default")


@pytest.mark.parametrize("column", ["xid", "seq", "recorded_at", "leaf_hash"])
def test_columns__database_owned__cannot_be_given_by_the_app(column: str) -> None:
    with db.cursor() as cursor, pytest.raises(DatabaseError, match="permission denied"):
        cursor.execute(
            f"INSERT INTO audit_event (id, {column}) VALUES (gen_random_uuid(), DEFAULT)"
        )


def test_fence__another_tenant__sees_nothing(tenant_id: UUID) -> None:
    change(before={"email": "a"}, after={"email": "b"})
    with tenant_context(uuid4()), db.cursor() as cursor:
        for table in ("audit_event", "audit_pii"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone() == (0,)


def test_fence__no_tenant__sees_nothing(tenant_id: UUID) -> None:
    change()
    with db.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', '', false)")
        cursor.execute("SELECT count(*) FROM audit_event")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant_id)])


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A critical table of another app, with the guard laid as a migration does."""
    name = f"guarded_{uuid4().hex[:8]}"
    guard = AuditGuard(name, target_type="sample")
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id int, tenant_id uuid, label text)")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO innkeeper_app")
        cursor.execute(guard.sql)
    yield name
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"{guard.reverse_sql} DROP TABLE {name}")


def _insert_saying(table: str, tenant: UUID, **facts: Any) -> None:
    with db.atomic():
        _write(f"INSERT INTO {table} VALUES (1, '{tenant}', 'a')")
        say(**facts)


def _write(sql: str) -> None:
    with db.cursor() as cursor:
        cursor.execute(sql)


def test_guard__audited_change__commits(tenant_id: UUID, guarded: str) -> None:
    with db.atomic():
        _write(f"INSERT INTO {guarded} VALUES (1, '{tenant_id}', 'a')")
        say()
    with db.atomic():
        _write(f"UPDATE {guarded} SET label = 'b' WHERE tenant_id = '{tenant_id}'")
        say()
    with db.atomic():
        _write(f"DELETE FROM {guarded} WHERE tenant_id = '{tenant_id}'")
        say()


@pytest.mark.parametrize("verb", ["insert", "update", "delete"])
def test_guard__unaudited_change__does_not_commit(tenant_id: UUID, guarded: str, verb: str) -> None:
    with db.atomic():
        _write(f"INSERT INTO {guarded} VALUES (1, '{tenant_id}', 'a')")
        say()
    statement = {
        "insert": f"INSERT INTO {guarded} VALUES (2, '{tenant_id}', 'b')",
        "update": f"UPDATE {guarded} SET label = 'b' WHERE tenant_id = '{tenant_id}'",
        "delete": f"DELETE FROM {guarded} WHERE tenant_id = '{tenant_id}'",
    }[verb]
    with pytest.raises(IntegrityError, match="needs an audit entry"):
        _write(statement)
    assert rows(f"SELECT id, label FROM {guarded} WHERE tenant_id = %s", tenant_id) == [(1, "a")]


def test_guard__entry_of_another_tenant_or_noun__does_not_count(
    tenant_id: UUID, guarded: str
) -> None:
    for facts in ({"tenant_id": uuid4()}, {"target_type": "other"}):
        with pytest.raises(IntegrityError, match="needs an audit entry"):
            _insert_saying(guarded, tenant_id, **facts)


def test_guard__entry_of_an_earlier_transaction__does_not_count(
    tenant_id: UUID, guarded: str
) -> None:
    change()
    with pytest.raises(IntegrityError, match="needs an audit entry"):
        _write(f"INSERT INTO {guarded} VALUES (1, '{tenant_id}', 'a')")


def test_guard__change_without_a_tenant_set__still_sees_the_entry(guarded: str) -> None:
    tenant = uuid4()
    with db.atomic():
        _write(f"INSERT INTO {guarded} VALUES (1, '{tenant}', 'a')")
        say(tenant_id=tenant)
    with db.use_alias("staff"), across_tenants():
        assert rows(f"SELECT id FROM {guarded} WHERE tenant_id = %s", tenant) == [(1,)]
