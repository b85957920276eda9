from collections.abc import Iterator

import psycopg
import pytest

from kernel.postgres.cluster import Cluster
from kernel.postgres.provision import Provisioner
from kernel.postgres.targets import ConnectionTarget, Role


@pytest.fixture(scope="module")
def provisioner(shared_cluster: Cluster) -> Iterator[Provisioner]:
    made = Provisioner(shared_cluster.bootstrap)
    for _ in range(2):  # every method may be repeated
        made.roles()
        made.database("inn")
    return made


@pytest.fixture
def target(shared_cluster: Cluster, provisioner: Provisioner) -> ConnectionTarget:
    return shared_cluster.bootstrap.to_database("inn")


def execute(target: ConnectionTarget, role: Role, statement: str) -> object:
    with psycopg.connect(target.as_role(role).dsn(), autocommit=True) as link:
        done = link.execute(statement)
        return done.fetchone() if done.description else None


def test_roles__once_made__have_no_power_but_the_sealers_bypass(target: ConnectionTarget) -> None:
    query = """
        SELECT array_agg(rolname::text ORDER BY rolname),
               bool_and(rolcanlogin),
               bool_or(rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication),
               array_agg(rolname::text) FILTER (WHERE rolbypassrls)
        FROM pg_roles WHERE rolname LIKE 'innkeeper%' AND rolname <> 'innkeeper_bootstrap'"""

    assert execute(target, Role.BOOTSTRAP, query) == (
        ["innkeeper_app", "innkeeper_owner", "innkeeper_sealer", "innkeeper_staff"],
        True,
        False,
        ["innkeeper_sealer"],
    )


def test_roles__with_a_power_given_by_hand__lose_it_again(
    target: ConnectionTarget, provisioner: Provisioner
) -> None:
    execute(target, Role.BOOTSTRAP, "ALTER ROLE innkeeper_app SUPERUSER BYPASSRLS")

    provisioner.roles()

    query = "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'innkeeper_app'"
    assert execute(target, Role.BOOTSTRAP, query) == (False, False)


def test_new_table__of_the_owner__is_open_to_staff_and_closed_to_app_and_sealer(
    target: ConnectionTarget,
) -> None:
    execute(target, Role.OWNER, "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY)")

    execute(target, Role.STAFF, "INSERT INTO thing DEFAULT VALUES")
    assert execute(target, Role.STAFF, "SELECT count(*) FROM thing") == (1,)
    for role in (Role.APP, Role.SEALER):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(target, role, "SELECT count(*) FROM thing")


def test_new_function__of_the_owner__is_closed_to_the_app(target: ConnectionTarget) -> None:
    execute(target, Role.OWNER, "CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1")

    assert execute(target, Role.STAFF, "SELECT one()") == (1,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(target, Role.APP, "SELECT one()")


@pytest.mark.parametrize("role", [Role.APP, Role.STAFF, Role.SEALER])
def test_schema__for_everybody_but_the_owner__is_read_only(
    target: ConnectionTarget, role: Role
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(target, role, "CREATE TABLE mine (id int)")


def test_database__cloned_from_a_template__keeps_contents_and_privileges(
    target: ConnectionTarget, provisioner: Provisioner
) -> None:
    provisioner.database("pattern")
    execute(target.to_database("pattern"), Role.OWNER, "CREATE TABLE kept AS SELECT 7 AS n")

    provisioner.database("copy", template="pattern")

    assert execute(target.to_database("copy"), Role.STAFF, "SELECT n FROM kept") == (7,)
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'copy'"
    assert execute(target, Role.BOOTSTRAP, owner) == ("innkeeper_owner",)
    provisioner.drop("copy")
    gone = "SELECT count(*) FROM pg_database WHERE datname = 'copy'"
    assert execute(target, Role.BOOTSTRAP, gone) == (0,)


def test_statistics__of_statements__are_there_for_staff(target: ConnectionTarget) -> None:
    found = execute(target, Role.STAFF, "SELECT count(*) > 0 FROM monitoring.pg_stat_statements")

    assert found == (True,)


def test_passwords__when_given__are_kept_hashed(
    target: ConnectionTarget, provisioner: Provisioner
) -> None:
    provisioner.roles({Role.APP: "hunter2"})

    query = "SELECT rolpassword FROM pg_authid WHERE rolname = 'innkeeper_app'"
    kept = execute(target, Role.BOOTSTRAP, query)
    assert str(kept[0]).startswith("SCRAM-SHA-256$")
