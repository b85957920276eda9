"""Slow statements: counted by role and named in the log, with placeholders and never with values.

Covers what goes through Django's cursors. The gate's prepared statements have a path of their own
and show in the latency of their routes.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from prometheus_client import Counter

_SHOWN = 500
_log = structlog.get_logger("innkeeper.database")
_slow = Counter(
    "innkeeper_database_slow_statements",
    "Statements that took longer than the budget of a complex one",
    ["alias"],
)


def watch() -> None:
    """Time every statement of every connection that opens from now on, the owner's excepted."""
    connection_created.connect(_attach, dispatch_uid="kernel.vitals.slow")


def _attach(connection: BaseDatabaseWrapper, **facts: Any) -> None:
    # The owner migrates: that may take its time, and everybody knows.
    if connection.alias != "owner" and time_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(time_statement)


def time_statement(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Run a statement; count and log it if it took longer than INNKEEPER_SLOW_STATEMENT_MS."""
    started = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        took_ms = (time.perf_counter() - started) * 1000
        if took_ms > settings.INNKEEPER_SLOW_STATEMENT_MS:
            alias = context["connection"].alias
            _slow.labels(alias).inc()
            _log.warning(
                "statement.slow", alias=alias, ms=round(took_ms), sql=" ".join(sql.split())[:_SHOWN]
            )
