"""Roles, database and default privileges: everything that only the superuser may make."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from kernel.postgres.targets import APPLICATION_ROLES, DATABASE, ConnectionTarget, Role

_LOCK = 0x696E6E  # "inn": one provisioner at a time
_PLAIN = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
# The sealer reads every tenant's entries to build its trees: the one bypass, and it may only do
# what grants allow it.
_SEALER = _PLAIN.replace("NOBYPASSRLS", "BYPASSRLS")
# A migration that cannot get its lock gives up instead of making every request queue behind it.
_OWNER_LOCK_TIMEOUT = "5s"


class Provisioner:
    """Makes what migrations take for granted. Every method may be repeated."""

    def __init__(self, admin: ConnectionTarget) -> None:
        """Take the superuser's way in; its database is only used to connect."""
        self._admin = admin

    def roles(self, passwords: Mapping[Role, str] | None = None) -> None:
        """Create the four roles and bring their attributes to what they must be.

        Args:
            passwords: for servers reached over the network; they are hashed before they are sent.
        """
        with self._connect(self._admin.name) as link:
            link.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            known = {row[0] for row in link.execute("SELECT rolname FROM pg_roles").fetchall()}
            for role in APPLICATION_ROLES:
                verb = "ALTER" if role in known else "CREATE"
                attributes = _SEALER if role is Role.SEALER else _PLAIN
                link.execute(
                    _compose("{verb} ROLE {role} {rest}", role, verb=verb, rest=attributes)
                )
                if password := (passwords or {}).get(role):
                    self._set_password(link, role, password)
            link.execute(
                _compose(
                    "ALTER ROLE {role} SET lock_timeout = {rest}",
                    Role.OWNER,
                    rest=f"'{_OWNER_LOCK_TIMEOUT}'",
                )
            )

    def database(self, name: str = DATABASE, *, template: str | None = None) -> None:
        """Create a database of the owner if it is missing, and set its privileges.

        Args:
            name: the new database.
            template: an existing database to clone; nobody may be connected to it.
        """
        with self._connect(self._admin.name) as link:
            link.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if link.execute(query, (name,)).fetchone() is None:
                self._create(link, name, template)
            database = sql.Identifier(name)
            roles = sql.SQL(", ").join(sql.Identifier(role) for role in APPLICATION_ROLES)
            for text in (
                "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
                "GRANT CONNECT ON DATABASE {database} TO {roles}",
            ):
                link.execute(sql.SQL(text).format(database=database, roles=roles))
        self._inside(name)

    def drop(self, name: str) -> None:
        """Drop a database and end its sessions."""
        with self._connect(self._admin.name) as link:
            text = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            link.execute(text.format(sql.Identifier(name)))

    @staticmethod
    def _create(link: psycopg.Connection, name: str, template: str | None) -> None:
        owner = sql.Identifier(Role.OWNER)
        # Outside a superuser's hands the creator must be a member of the owner to give it away.
        if not _is_superuser(link):
            link.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))
        text = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        source = sql.Identifier(template or "template1")
        link.execute(text.format(sql.Identifier(name), owner, source))

    def _inside(self, name: str) -> None:
        """Set the schema's privileges: staff gets every new table, the app gets none."""
        statements = (
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "GRANT ALL ON SCHEMA public TO {owner}",
            "GRANT USAGE ON SCHEMA public TO {app}, {staff}, {sealer}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public "
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {staff}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public "
            "GRANT USAGE, SELECT ON SEQUENCES TO {staff}",
            # Functions are open to everybody by default; the app's are granted one by one.
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public "
            "GRANT EXECUTE ON FUNCTIONS TO {staff}",
            "CREATE SCHEMA IF NOT EXISTS monitoring",
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA monitoring",
            "GRANT USAGE ON SCHEMA monitoring TO {staff}",
        )
        names = {
            "owner": Role.OWNER,
            "app": Role.APP,
            "staff": Role.STAFF,
            "sealer": Role.SEALER,
        }
        identifiers = {key: sql.Identifier(role) for key, role in names.items()}
        with self._connect(name) as link:
            link.execute("SET client_min_messages = warning")
            link.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            for text in statements:
                link.execute(sql.SQL(text).format(**identifiers))

    @staticmethod
    def _set_password(link: psycopg.Connection, role: Role, password: str) -> None:
        hashed = link.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        text = sql.SQL("ALTER ROLE {} PASSWORD {}")
        link.execute(text.format(sql.Identifier(role), sql.Literal(hashed)))

    def _connect(self, name: str) -> psycopg.Connection:
        target = self._admin.to_database(name)
        return psycopg.connect(target.dsn(), connect_timeout=10, autocommit=True)


def _is_superuser(link: psycopg.Connection) -> bool:
    row = link.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return bool(row and row[0])


def _compose(text: str, role: Role, *, rest: str, verb: str = "") -> sql.Composed:
    return sql.SQL(text).format(role=sql.Identifier(role), rest=sql.SQL(rest), verb=sql.SQL(verb))
