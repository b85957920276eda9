"""The database's superuser: the adversary of the tamper tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from kernel.postgres.targets import PORT, ConnectionTarget, Role

_ARMED = (
    "audit_event",
    "audit_leaf",
    "audit_node",
    "audit_head",
    "audit_checkpoint",
    "audit_heads_entry",
    "audit_pii",
    "audit_erased",
)


@contextmanager
def superuser() -> Iterator[psycopg.Connection]:
    """Connect to the test's database as its superuser, committing each statement."""
    target = ConnectionTarget(
        os.environ["INNKEEPER_DB_SOCKET"], PORT, os.environ["INNKEEPER_DB_NAME"], Role.BOOTSTRAP
    )
    with psycopg.connect(target.dsn(), autocommit=True) as link:
        yield link


@contextmanager
def disarmed() -> Iterator[psycopg.Connection]:
    """Let the superuser switch the triggers off, do harm and switch them on again."""
    with superuser() as link:
        partitions = link.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'audit_event'::regclass"
        ).fetchall()
        tables = [*_ARMED, *(row[0] for row in partitions)]
        for table in tables:
            link.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        try:
            yield link
        finally:
            for table in tables:
                link.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
                for name in ("audit_refuse_change", "audit_refuse_truncate"):
                    link.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
