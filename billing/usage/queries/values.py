"""Which subjects and group values a meter has seen."""

from typing import Any

from billing.usage.queries import sources
from billing.usage.queries.question import Question
from kernel import db


def subjects(question: Question) -> list[str]:
    """List the subjects with counted events in the asked range, in order."""
    return _distinct(question, "part.subject")


def group_values(question: Question, key: str) -> list[str]:
    """List the values of a group-by key of the meter in the asked range, in order."""
    return _distinct(question, f"part.groups[{question.meter.group_keys.index(key) + 1}]")


def _distinct(question: Question, column: str) -> list[str]:
    parts, parameters = sources.kept(question, ())
    statement = ["SELECT DISTINCT ", column, " AS found FROM (", parts, ") AS part ORDER BY 1"]
    with db.cursor() as cursor:
        cursor.execute("".join(statement), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return [str(row[0]) for row in rows]
