"""Both fences on a table of our own: the ORM's, PostgreSQL's, and each without the other."""

from uuid import UUID

import psycopg
import pytest
from django.db import connections, models
from django.db.utils import ProgrammingError

from kernel import db, tenancy
from kernel.ids import new_id
from kernel.tenancy import TenantRequiredError, across_tenants, tenant_context
from kernel.tenancy import models as fence_models
from kernel.tenancy.direct import Direct
from kernel.tenancy.models import CrossTenantWriteError, TenantOwned
from kernel.tenancy.operations import APP, grant, protect

TABLE = "fence_test_note"


class Note(TenantOwned):
    text = models.TextField()

    class Meta(TenantOwned.Meta):
        app_label = "kernel"
        db_table = TABLE
        managed = False


@pytest.fixture(scope="module", autouse=True)
def table(session_database):
    session_database.ensure()
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (id uuid PRIMARY KEY, tenant_id uuid NOT NULL,"
            " text text NOT NULL)"
        )
        cursor.execute(protect(TABLE) + grant(TABLE, APP, "SELECT, INSERT, UPDATE, DELETE"))
    yield
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")


@pytest.fixture
def notes():
    """Two tenants with one note each."""
    tenants = new_id(), new_id()
    for tenant in tenants:
        with tenant_context(tenant):
            Note.objects.create(text=f"of {tenant}")
    return tenants


def raw_tenants() -> set[UUID]:
    with db.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT tenant_id FROM {TABLE}")
        return {row[0] for row in cursor.fetchall()}


def test_orm__no_tenant__raises_instead_of_answering(notes):
    for use in (
        Note.objects.all,
        lambda: Note.objects.filter(text="x"),
        lambda: Note.objects.create(text="x"),
        lambda: Note.objects.bulk_create([Note(text="x")]),
        lambda: Note(text="x").save(),
        lambda: Note.objects.update(text="x"),
    ):
        with pytest.raises(TenantRequiredError):
            use()


def test_orm__tenant_set__sees_its_own_only(notes):
    first, second = notes
    with tenant_context(first):
        assert {note.tenant_id for note in Note.objects.all()} == {first}
        assert not Note.objects.filter(tenant_id=second).exists()
        assert Note.objects.filter(tenant_id=second).update(text="stolen") == 0


def test_orm__row_of_another_tenant__cannot_be_written(notes):
    first, second = notes
    with tenant_context(first):
        with pytest.raises(CrossTenantWriteError):
            Note.objects.create(tenant_id=second, text="x")
        with pytest.raises(CrossTenantWriteError):
            Note.objects.bulk_create([Note(tenant_id=second, text="x")])


def test_rls__raw_sql_of_app__sees_the_tenant_only_and_nothing_without(notes):
    first, _ = notes
    assert raw_tenants() == set()
    with tenant_context(first):
        assert raw_tenants() == {first}
    assert raw_tenants() == set()


def test_rls__raw_write_for_another_tenant__refused_by_postgresql(notes):
    first, second = notes
    with tenant_context(first), pytest.raises(ProgrammingError) as raised, db.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} VALUES (%s, %s, 'x')", [new_id(), second])
    assert isinstance(raised.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_rls_alone__orm_fence_switched_off__holds(notes, monkeypatch):
    monkeypatch.setattr(fence_models, "fence", lambda rows: rows)
    first, _ = notes
    with tenant_context(first):
        assert {note.tenant_id for note in Note.objects.all()} == {first}
    assert list(Note.objects.all()) == []


def test_orm_alone__rls_switched_off__holds(notes):
    first, _ = notes
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY")
    try:
        with tenant_context(first):
            assert len(raw_tenants()) > 1, "row-level security is still on"
            assert {note.tenant_id for note in Note.objects.all()} == {first}
    finally:
        with db.use_alias("owner"), db.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")


def test_across_tenants__app_role__refused(notes):
    with pytest.raises(TenantRequiredError), across_tenants():
        raise AssertionError("entered")


def test_across_tenants__staff__sees_all(notes):
    with db.use_alias("staff"), across_tenants():
        assert set(notes) <= {note.tenant_id for note in Note.objects.all()}


def test_owner__forced_rls__still_works_on_all_rows(notes):
    with db.use_alias("owner"):
        assert set(notes) <= raw_tenants()


def test_setting__transaction_rolled_back__never_another_tenants(notes):
    first, second = notes
    with tenant_context(first):
        with pytest.raises(ZeroDivisionError), db.atomic(), tenant_context(second):
            raise ZeroDivisionError
        assert raw_tenants() == {first}
        assert {note.tenant_id for note in Note.objects.all()} == {first}


def test_reuse__same_backend__a_then_b_then_none(notes):
    first, second = notes
    seen = []
    for tenant in (first, second):
        with tenant_context(tenant), db.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            seen.append((cursor.fetchone()[0], raw_tenants()))
    assert seen[0][0] == seen[1][0]
    assert [tenants for _, tenants in seen] == [{first}, {second}]
    assert raw_tenants() == set()


def test_checkout__connection_left_dirty__starts_clean(notes):
    first, _ = notes
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), set_config('app.tenant', %s, false)", [str(first)])
        pid = cursor.fetchone()[0]
    assert backend_again(pid)
    assert raw_tenants() == set()


def backend_again(pid: int) -> bool:
    """Check connections out of the pool until the wanted backend comes again."""
    for _ in range(200):
        connections["default"].close()
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            if cursor.fetchone()[0] == pid:
                return True
    return False


def test_checkout__inside_a_context__the_context_holds(notes):
    first, _ = notes
    with tenant_context(first):
        connections["default"].close()
        assert raw_tenants() == {first}
    assert tenancy.tenant_or_none() is None


def test_direct__tenant_set__reads_and_changes_its_rows_only(notes):
    first, _ = notes
    rows = Direct(Note)
    with tenant_context(first):
        (found,) = rows.read("text <> $1::text", ["nothing"], "ORDER BY id FOR UPDATE")
        assert found == Note.objects.get()
        assert found._state.db == "default"
        (changed,) = rows.update("text = $1::text", "true", ["changed"])
    assert (changed.id, changed.tenant_id, changed.text) == (found.id, first, "changed")
    with db.use_alias("staff"), across_tenants():
        texts = {note.text for note in rows.read("tenant_id = ANY ($1::uuid[])", [list(notes)])}
    assert texts == {"changed", f"of {notes[1]}"}


def test_direct__row_level_security_off__still_fences(notes):
    # The staff's policy shows all rows: what is left is the tenant in the statement.
    first, second = notes
    with db.use_alias("staff"), tenant_context(first):
        assert {note.tenant_id for note in Direct(Note).read("true", [])} == {first}
        assert Direct(Note).update("text = ''", "tenant_id = $1::uuid", [second]) == []


def test_direct__insert__writes_the_tenants_row_and_no_other(notes):
    first, second = notes
    rows = Direct(Note)
    with tenant_context(first):
        made = Note(tenant_id=first, text="direct")
        rows.insert(made)
        assert not made._state.adding
        assert Note.objects.get(id=made.id).text == "direct"
        with pytest.raises(CrossTenantWriteError):
            rows.insert(Note(tenant_id=second, text="foreign"))


def test_direct__no_tenant__raises_instead_of_answering(notes):
    with pytest.raises(TenantRequiredError):
        Direct(Note).insert(Note(tenant_id=notes[0], text="nobody's"))
    with pytest.raises(TenantRequiredError):
        Direct(Note).read("true", [])
    with pytest.raises(TenantRequiredError):
        Direct(Note).update("text = ''", "true", [])
