"""The API description says each thing once, so that what it says can be met."""

from collections.abc import Iterator
from typing import Any

from tests.contract.test_hostile_input import DESCRIPTION, VERBS


def test_alternatives__of_one_of__differ():
    found = list(alternatives(DESCRIPTION, "#"))
    twice = [where for where, members in found if any(members.count(one) > 1 for one in members)]
    assert twice == []
    assert len(found) > 4


def test_operations__all_but_public_ones__ask_for_a_key():
    openly = {
        f"{verb} {path}"
        for path, item in DESCRIPTION["paths"].items()
        for verb, operation in item.items()
        if verb in VERBS and {"ApiKey": []} not in operation.get("security", [])
    }
    assert openly == {
        "get /health",
        "get /livez",
        "get /readyz",
        "get /api/v1/audit/heads/checkpoint",
        "get /api/v1/audit/heads/tile/{tile}",
    }


def test_audit_export__in_each_of_its_formats__has_its_media_type_described():
    answer = DESCRIPTION["paths"]["/api/v1/audit/export"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/x-ndjson", "application/zip"}


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
