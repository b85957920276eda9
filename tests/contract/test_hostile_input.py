"""Whatever a caller writes, the answer is a sentence about it and never a fault of the program.

Generated over the API description: each query parameter, each part of a path and each member of a
body in turn holds what programs stumble over, while all others hold something harmless.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from django.test import Client

from tests.contract.url_map import UNKNOWN
from tests.contract.victim import Victim, make_victim
from tests.guests import operator_key

DESCRIPTION = yaml.load(
    (Path(__file__).parents[2] / "docs" / "openapi.yaml").read_bytes(),
    Loader=yaml.CSafeLoader,
)
VERBS = ("get", "post", "put", "patch", "delete")
OPERATIONS = [
    pytest.param(path, verb, id=f"{verb.upper()} {path}")
    for path, item in DESCRIPTION["paths"].items()
    for verb in VERBS
    if verb in item and path.startswith("/api/")
]
OWN = ("customer", "event", "id_or_slug", "log", "subject")
"""Parameters that name something that is there, so that what comes behind them is read at all."""

NUL = "a\0b"
LONG = "9" * 5_000
OPENED = "(" * 1_500
NESTED = "[" * 1_500
DEEP = '{"a":' * 1_000 + "1" + "}" * 1_000
NUMBERS = [2**63, 10**400, "9" * 5_000, "1e999999", "NaN"]
TIMES = ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
TEXTS = [NUL, LONG, OPENED, NESTED, "fe80::1%eth0", "abc\n"]


def test_description__is_read__lists_the_operations():
    assert len(OPERATIONS) > 90


@pytest.mark.parametrize(("path", "verb"), OPERATIONS)
def test_route__hostile_input__is_answered_and_no_fault(path, verb):
    faults = {
        f"{told}: {status}"
        for told, url, body in requests(path, DESCRIPTION["paths"][path][verb])
        if (status := ask(verb, url, body)) >= 500
    }

    assert sorted(faults) == []


def requests(path: str, operation: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """Give (what is hostile, URL, body) of each request to one operation."""
    declared = operation.get("parameters", [])
    form = form_of(operation)
    harmless = None if form is None else sample(form)
    sent = b"" if form is None else dumped(harmless)
    names = [one["name"] for one in declared if one["in"] == "path"]
    for name in names:
        for text in (NUL, LONG):
            yield f"path {name}={text[:9]}", filled(path, names, {name: text}), sent
    plain = filled(path, names, {})
    for one in declared:
        if one["in"] == "query":
            for value in hostile(one["schema"]):
                query = f"{quote(one['name'])}={quote(str(value)[:6_000], safe='')}"
                yield f"{one['name']}={str(value)[:9]}", f"{plain}?{query}", sent
    for told, body in bodies(form, harmless):
        yield told, plain, body


def filled(path: str, names: list[str], values: dict[str, str]) -> str:
    for name in names:
        known = victim().names[name][-1] if name in OWN else UNKNOWN[name]()
        path = path.replace(f"{{{name}}}", quote(values.get(name, known), safe="/"))
    return path


def ask(verb: str, url: str, body: bytes) -> int:
    operators = "/admin/" in url
    response = browser().generic(
        verb.upper(),
        url,
        data=body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {operator() if operators else victim().guest.key}"},
    )
    if response.streaming:
        for _ in response:
            pass
    return response.status_code


@cache
def browser() -> Client:
    return Client(raise_request_exception=False)


@cache
def victim() -> Victim:
    return make_victim()


@cache
def operator() -> str:
    return operator_key()


# --- Values by the schemas of the description ---


def form_of(operation: dict[str, Any]) -> dict[str, Any] | None:
    """Give the schema of an operation's JSON body; None where it takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    return content["application/json"]["schema"] if "application/json" in content else None


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references and choose the first of several forms."""
    while True:
        if "$ref" in schema:
            schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif chosen := schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf"):
            schema = chosen[0]
        else:
            return schema


def kind(schema: dict[str, Any]) -> str:
    told = schema.get("type", "string")
    return told[0] if isinstance(told, list) else told


def sample(schema: dict[str, Any]) -> Any:
    """Give something harmless of the schema's form."""
    schema = resolved(schema)
    if "enum" in schema:
        return schema["enum"][0]
    match kind(schema):
        case "object":
            members = schema.get("properties", {})
            return {
                name: sample(members[name])
                for name in schema.get("required", [])
                if name in members
            }
        case "array":
            return [sample(schema["items"])]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "abc"


def hostile(schema: dict[str, Any]) -> list[Any]:
    """Give what programs stumble over where they expect the schema's form."""
    schema = resolved(schema)
    match kind(schema):
        case "integer" | "number":
            return [*NUMBERS, NUL]
        case "boolean":
            return [NUL]
        case "array":
            return [NUL, LONG]
    return [*TIMES, NUL] if schema.get("format") == "date-time" else TEXTS


def bodies(form: dict[str, Any] | None, harmless: Any) -> Iterator[tuple[str, bytes]]:
    """Give bodies in which one member is hostile, and some that have no form at all."""
    if form is None:
        return
    for told, text in (("nested", b"[" * 100_000), ("surrogate", b'"\\ud800"'), ("number", b"1")):
        yield f"body {told}", text
    schema = resolved(form)
    listed = kind(schema) == "array"
    schema = resolved(schema["items"]) if listed else schema
    base = harmless[0] if listed else harmless
    for name, inner in schema.get("properties", {}).items():
        others = dumped({key: value for key, value in base.items() if key != name})[1:-1]
        for value in [*map(dumped, [*hostile(inner), {"a": [NUL]}, [[]]]), DEEP.encode()]:
            body = b'{"%s":%s%s}' % (name.encode(), value, b"," + others if others else b"")
            yield f"/{name}={value[:9].decode()}", b"[%s]" % body if listed else body


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()
