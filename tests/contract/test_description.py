"""The API description says each thing once, so that what it says can be met."""

from collections.abc import Iterator
from typing import Any

from tests.contract.test_hostile_input import DESCRIPTION


def test_alternatives__of_one_of__differ():
    found = list(alternatives(DESCRIPTION, "#"))
    twice = [where for where, members in found if any(members.count(one) > 1 for one in members)]
    assert twice == []
    assert len(found) > 4


def alternatives(part: Any, where: str) -> Iterator[tuple[str, list[Any]]]:
    """Walk the description; a value that meets two of them meets none (JSON Schema, oneOf)."""
    if isinstance(part, dict):
        if isinstance(part.get("oneOf"), list):
            yield where, part["oneOf"]
        for name, below in part.items():
            yield from alternatives(below, f"{where}/{name}")
    elif isinstance(part, list):
        for number, below in enumerate(part):
            yield from alternatives(below, f"{where}/{number}")
