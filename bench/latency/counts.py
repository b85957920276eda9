"""What a request costs in counts that no noise can move, as PostgreSQL itself counted them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connections

# Calls by kind in one database. Transaction statements are utilities, which are tracked as well.
_TOTALS = """
    SELECT coalesce(sum(calls), 0)::bigint,
           coalesce(sum(calls) FILTER (WHERE query ~* '^(begin|commit|rollback)'), 0)::bigint,
           coalesce(sum(calls) FILTER (WHERE query ~* '^commit'), 0)::bigint,
           coalesce(sum(calls) FILTER (WHERE query ~* '^notify'), 0)::bigint
      FROM monitoring.pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s) AND toplevel
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """One request's work: `round_trips` include BEGIN and COMMIT, `statements` do not.

    `commits` are transactions with a COMMIT of their own plus statements that commit alone, as far
    as the process can tell (Django's cursors outside a transaction, and the gate's connection).
    """

    statements: int
    round_trips: int
    commits: int
    notifies: int
    response_bytes: int

    def over(self, budget: dict[str, int]) -> list[str]:
        """Which counts exceed the budget, in words."""
        return [
            f"{name} {getattr(self, name)} exceeds {limit}"
            for name, limit in budget.items()
            if getattr(self, name) > limit
        ]


class Counter:
    """Counts on a connection of its own to another database, so that it never counts itself."""

    def __init__(
        self, link: psycopg.Connection[Any], database: str, gate_calls: Callable[[], int]
    ) -> None:
        """Take a connection that may read pg_stat_statements, the database to watch, and the
        number of statements that this process has sent on the gate's own connection."""
        self._link, self._database, self._gate_calls = link, database, gate_calls
        self._alone = 0

    def count(self, request: Callable[[], bytes]) -> Counts:
        """Run the request, which gives its response body, and count."""
        gate, before = self._gate_calls(), self._totals()
        self._alone = 0
        with self._watching():
            body = request()
        calls, framing, commits, notifies = (
            now - then for now, then in zip(self._totals(), before, strict=True)
        )
        return Counts(
            statements=calls - framing,
            round_trips=calls,
            commits=commits + self._alone + self._gate_calls() - gate,
            notifies=notifies,
            response_bytes=len(body),
        )

    def _totals(self) -> tuple[int, ...]:
        row = self._link.execute(_TOTALS, (self._database,)).fetchone()
        assert row is not None
        return tuple(row)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        wrapped = [connections[alias] for alias in connections]
        for connection in wrapped:
            connection.execute_wrappers.append(self._note)
        try:
            yield
        finally:
            for connection in wrapped:
                connection.execute_wrappers.remove(self._note)

    def _note(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if not context["connection"].in_atomic_block:
            self._alone += 1
        return execute(sql, params, many, context)
