"""Every table of tenants is protected, and the check sees when one is not."""

import pytest

from kernel import db
from kernel.tenancy import catalogue
from kernel.tenancy.operations import APP, grant, protect

TABLE = "catalogue_test"


@pytest.fixture
def owner(database):
    with db.use_alias("owner"), db.cursor() as cursor:
        yield cursor


@pytest.fixture
def table(owner):
    owner.execute(f"CREATE TABLE {TABLE} (tenant_id uuid, id uuid, PRIMARY KEY (tenant_id, id))")
    owner.execute(protect(TABLE) + grant(TABLE, APP, "SELECT, INSERT"))
    yield TABLE
    owner.execute(f"DROP TABLE {TABLE}")


def faults_of(cursor, table):
    [found] = [p for p in catalogue.protections(cursor) if p.table == f"public.{table}"]
    return found.faults()


def test_all_tables__as_migrated__are_safe(owner):
    assert catalogue.table_faults(owner) == []


def test_all_tables__as_migrated__are_seen(owner):
    seen = {protection.table for protection in catalogue.protections(owner)}
    assert {
        "public.accounts_membership",
        "public.accounts_api_key",
        "public.kernel_outbox",
        "public.tenants_tenant",
        "gate.credential",
    } <= seen


def test_gate_schema__serving_roles__reach_no_table(owner):
    gate = [p for p in catalogue.protections(owner) if p.table.startswith("gate.")]
    assert len(gate) >= 4
    assert not any(protection.reachable for protection in gate)


def test_roles__as_provisioned__have_no_power_over_the_fence(owner):
    assert catalogue.role_faults(owner) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", "not enabled and forced"),
        ("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "not enabled and forced"),
        ("CREATE POLICY stray ON {} USING (true)", "policies are"),
        ("DROP POLICY tenant ON {}", "policies are"),
        ("ALTER POLICY tenant ON {} USING (true)", "does not hold innkeeper_app"),
        ("ALTER POLICY tenant ON {} WITH CHECK (true)", "does not hold innkeeper_app"),
        (
            "ALTER POLICY tenant ON {} USING (tenant_id ="
            " (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid) OR true)",
            "does not hold innkeeper_app",
        ),
        ("ALTER POLICY tenant ON {} TO PUBLIC", "does not hold innkeeper_app"),
        ("ALTER TABLE {} DROP CONSTRAINT catalogue_test_pkey", "no index begins"),
        ("GRANT TRUNCATE ON {} TO innkeeper_app", "TRUNCATE"),
    ],
)
def test_check__one_thing_undone__is_named(owner, table, statement, fault):
    assert faults_of(owner, table) == []
    owner.execute(statement.format(table))
    assert any(fault in found for found in faults_of(owner, table))


@pytest.mark.parametrize(
    ("make", "drop", "leak"),
    [
        (
            "CREATE TABLE leak_test (id int); GRANT INSERT ON leak_test TO innkeeper_app",
            "DROP TABLE leak_test",
            "public.leak_test: innkeeper_app may write it and no row-level security is forced",
        ),
        (
            "CREATE VIEW leak_test AS SELECT * FROM accounts_membership;"
            " GRANT SELECT ON leak_test TO innkeeper_app",
            "DROP VIEW leak_test",
            "public.leak_test: a view that reads with its owner's rights",
        ),
        (
            "GRANT SELECT ON gate.credential TO innkeeper_staff",
            "REVOKE SELECT ON gate.credential FROM innkeeper_staff",
            "gate.credential: a table of the gate that serving roles reach directly",
        ),
        (
            "CREATE FUNCTION leak_test() RETURNS int LANGUAGE sql SECURITY DEFINER"
            " AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION leak_test() TO innkeeper_app",
            "DROP FUNCTION leak_test()",
            "leak_test(): runs as its owner without a search_path of its own",
        ),
    ],
)
def test_leaks__a_way_around_the_fence__is_named(owner, make, drop, leak):
    assert catalogue.leaks(owner) == []
    owner.execute(make)
    try:
        assert catalogue.leaks(owner) == [leak]
    finally:
        owner.execute(drop)


def test_leaks__view_with_the_readers_rights__is_none(owner):
    owner.execute(
        "CREATE VIEW leak_test WITH (security_invoker=true) AS SELECT * FROM accounts_membership;"
        " GRANT SELECT ON leak_test TO innkeeper_app"
    )
    try:
        assert catalogue.leaks(owner) == []
    finally:
        owner.execute("DROP VIEW leak_test")
