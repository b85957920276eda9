import pytest

from kernel.postgres import ConnectionTarget, PostgresError, Role, targets


def test_target__from_a_url__reads_every_part() -> None:
    target = ConnectionTarget.from_url(
        "postgresql://me:s%40cret@db.local:6432/shop?sslmode=require"
    )

    assert target == ConnectionTarget(
        "db.local", 6432, "shop", "me", "s@cret", (("sslmode", "require"),)
    )


@pytest.mark.parametrize(
    "url", ["mysql://me@db/shop", "postgresql://db/shop", "postgresql://me@db/", "shop"]
)
def test_target__from_a_url_that_names_too_little__is_refused(url: str) -> None:
    with pytest.raises(PostgresError, match="database URL"):
        ConnectionTarget.from_url(url)


def test_dsn__with_quotes_in_a_password__escapes_them() -> None:
    target = ConnectionTarget("/run/x y", 5432, "shop", "me", "it's \\ odd")

    assert target.dsn() == (
        "host='/run/x y' port='5432' dbname='shop' user='me' password='it\\'s \\\\ odd'"
    )


def test_targets__with_a_database_url__give_each_role_its_own_login() -> None:
    found = targets({"DATABASE_URL": "postgresql://innkeeper_app:pw@db/shop"})

    assert {role: target.user for role, target in found.items()} == {
        Role.OWNER: "innkeeper_owner",
        Role.APP: "innkeeper_app",
        Role.STAFF: "innkeeper_staff",
        Role.SEALER: "innkeeper_sealer",
    }
    assert {target.password for target in found.values()} == {"pw"}


def test_targets__with_a_url_for_one_role__use_it_for_that_role_alone() -> None:
    found = targets(
        {
            "DATABASE_URL": "postgresql://innkeeper_app:pw@db/shop",
            "DATABASE_OWNER_URL": "postgresql://boss:other@direct/shop",
        }
    )

    assert (found[Role.OWNER].user, found[Role.OWNER].host) == ("boss", "direct")
    assert (found[Role.STAFF].user, found[Role.STAFF].host) == ("innkeeper_staff", "db")


def test_targets__with_a_socket_given__use_it_without_looking_at_the_home() -> None:
    found = targets({"INNKEEPER_DB_SOCKET": "/run/pg", "INNKEEPER_DB_NAME": "clone"})

    assert {(target.host, target.name) for target in found.values()} == {("/run/pg", "clone")}
