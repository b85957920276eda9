"""Is the schema the code's? Answered in milliseconds, so that a second start need not load Django.

A digest of everything that migrations are made of is kept in the database itself, as its comment:
it travels with the data, and a restored or foreign database has another one or none.
"""

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from kernel.postgres import ConnectionTarget

_PACKAGES = ("kernel", "audit", "tenants", "accounts", "billing", "webhooks")
_DISTRIBUTIONS = ("Django", "procrastinate")
_PREFIX = "innkeeper schema "


def digest() -> str:
    """Hash the migrations and SQL files of all packages, and whose migrations come along."""
    found = hashlib.sha256()
    for name in _DISTRIBUTIONS:
        found.update(f"{name} {version(name)}\n".encode())
    for folder in map(_folder, _PACKAGES):
        for path in sorted([*folder.rglob("migrations/*.py"), *folder.rglob("*.sql")]):
            found.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(next(iter(spec.submodule_search_locations)))


def recorded(target: ConnectionTarget) -> str:
    """Read the digest that the database was last brought to; empty if none."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with psycopg.connect(target.dsn(), connect_timeout=10, autocommit=True) as link:
        row = link.execute(query, (target.name,)).fetchone()
    comment = str(row[0]) if row and row[0] else ""
    return comment.removeprefix(_PREFIX) if comment.startswith(_PREFIX) else ""


def record(owner: ConnectionTarget) -> None:
    """Note that the database is now what the code says. Only its owner may."""
    text = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(owner.name), sql.Literal(_PREFIX + digest())
    )
    with psycopg.connect(owner.dsn(), connect_timeout=10, autocommit=True) as link:
        link.execute(text)
