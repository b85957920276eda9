"""How each role of the application reaches the database."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from kernel.postgres.account import ServerAccount
from kernel.postgres.errors import PostgresError
from kernel.postgres.home import innkeeper_home
from kernel.postgres.layout import PORT, Layout

DATABASE = "innkeeper"


class Role(StrEnum):
    """The database roles. The application never connects as BOOTSTRAP, the superuser."""

    OWNER = "innkeeper_owner"
    APP = "innkeeper_app"
    STAFF = "innkeeper_staff"
    SEALER = "innkeeper_sealer"
    BOOTSTRAP = "innkeeper_bootstrap"


APPLICATION_ROLES = (Role.OWNER, Role.APP, Role.STAFF, Role.SEALER)
_URL_SETTINGS = {
    Role.APP: "DATABASE_URL",
    Role.OWNER: "DATABASE_OWNER_URL",
    Role.STAFF: "DATABASE_STAFF_URL",
    Role.SEALER: "DATABASE_SEALER_URL",
}


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """One way into a database, as libpq understands it.

    Attributes:
        host: a host name, or the directory of a Unix socket.
        options: further libpq parameters, for example ``sslmode``.
    """

    host: str
    port: int
    name: str
    user: str
    password: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_url(cls, url: str) -> "ConnectionTarget":
        """Read ``postgresql://user:password@host:port/name?sslmode=…``.

        Raises:
            PostgresError: the scheme is another one, or user or database are missing.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"postgres", "postgresql"}:
            raise PostgresError("A database URL starts with postgresql://")
        name, user = unquote(parts.path.lstrip("/")), unquote(parts.username or "")
        if not name or not user:
            raise PostgresError("A database URL names a user and a database.")
        options = dict(parse_qsl(parts.query))
        host = unquote(parts.hostname or "") or options.pop("host", "")
        password = unquote(parts.password or "")
        return cls(host, parts.port or PORT, name, user, password, tuple(options.items()))

    def as_role(self, role: Role) -> "ConnectionTarget":
        """Give the same database as another role, with the same password."""
        return replace(self, user=str(role))

    def to_database(self, name: str) -> "ConnectionTarget":
        """Give the same role in another database."""
        return replace(self, name=name)

    def parameters(self) -> dict[str, str]:
        """Give libpq's connection parameters."""
        basic = {"host": self.host, "port": str(self.port), "dbname": self.name, "user": self.user}
        secret = {"password": self.password} if self.password else {}
        return basic | secret | dict(self.options)

    def dsn(self) -> str:
        """Give a libpq keyword string; it contains the password if there is one."""
        return " ".join(f"{key}={_quote(value)}" for key, value in self.parameters().items())


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def uses_own_server(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether DATABASE_URL switches the embedded server off."""
    return bool(environ.get("DATABASE_URL"))


def targets(environ: Mapping[str, str] = os.environ) -> dict[Role, ConnectionTarget]:
    """Give every application role's way into the database, without connecting.

    DATABASE_URL is the app role's; the other roles use DATABASE_OWNER_URL, DATABASE_STAFF_URL and
    DATABASE_SEALER_URL, or the same URL with their own name. Without it the embedded server's
    socket is used; INNKEEPER_DB_SOCKET and INNKEEPER_DB_NAME point at another one (tests).

    Raises:
        PostgresError: a URL is malformed.
    """
    if uses_own_server(environ):
        base = ConnectionTarget.from_url(environ["DATABASE_URL"])
        return {role: _configured(role, base, environ) for role in APPLICATION_ROLES}
    socket = environ.get("INNKEEPER_DB_SOCKET") or str(_embedded_socket(environ))
    name = environ.get("INNKEEPER_DB_NAME") or DATABASE
    return {role: ConnectionTarget(socket, PORT, name, role) for role in APPLICATION_ROLES}


def _configured(role: Role, base: ConnectionTarget, environ: Mapping[str, str]) -> ConnectionTarget:
    if url := environ.get(_URL_SETTINGS[role]):
        return ConnectionTarget.from_url(url)
    return base.as_role(role)


def _embedded_socket(environ: Mapping[str, str]) -> Path:
    account = ServerAccount.choose(environ)
    return Layout.of_home(innkeeper_home(environ), account).socket
