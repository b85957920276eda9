"""Switches for the two fences, to prove that each holds without the other."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db.models import Model

from kernel import db
from kernel.tenancy import context, models

_PROTECTED = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relrowsecurity AND c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'gate')
"""


def protected_tables() -> list[str]:
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(_PROTECTED)
        return [name for (name,) in cursor.fetchall()]


@contextmanager
def orm_fence_off() -> Iterator[None]:
    """Let the managers give all rows; new rows still get the tenant of the context."""

    def claim(row: Model) -> None:
        row.tenant_id = getattr(row, "tenant_id", None) or context.current_tenant()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "scope", lambda: context.ALL_TENANTS)
        patch.setattr(models, "claim", claim)
        yield


@contextmanager
def row_level_security_off() -> Iterator[None]:
    """Let PostgreSQL show the app role all rows of this process' own database."""
    tables = protected_tables()
    _alter(tables, "DISABLE")
    try:
        yield
    finally:
        _alter(tables, "ENABLE")


@contextmanager
def both_on() -> Iterator[None]:
    yield


LAYERS = {
    "both layers": both_on,
    "without the ORM fence": orm_fence_off,
    "without row-level security": row_level_security_off,
}


def _alter(tables: list[str], what: str) -> None:
    with db.use_alias("owner"), db.atomic(), db.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} {what} ROW LEVEL SECURITY")
