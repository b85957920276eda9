"""Statements with named values, run as prepared ones: planned once a connection, not each time."""

import re
from collections.abc import Mapping
from typing import Any, Final

from kernel import db

_NAMED: Final = re.compile(r"%\((\w+)\)s")
_MOST: Final = 100
"""How many shapes of statements may be kept, each with a plan on every connection."""
_shapes: dict[str, tuple[str, tuple[str, ...]]] = {}


def rows(statement: str, named: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement whose text depends on the shape of what is asked, never on its values.

    Beyond some number of shapes the next ones are planned for their values each time.

    Raises:
        django.db.utils.DatabaseError: as any statement.
    """
    shape = _shapes.get(statement)
    if shape is None:
        if len(_shapes) >= _MOST:
            with db.cursor() as cursor:
                cursor.execute(statement, named)
                return list(cursor.fetchall())
        shape = _shapes[statement] = _numbered(statement)
    text, names = shape
    return db.rows(text, [named[name] for name in names])


def _numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """Number the named values by their first use."""
    places: dict[str, int] = {}
    text = _NAMED.sub(lambda one: f"${places.setdefault(one[1], len(places) + 1)}", statement)
    return text, tuple(places)
