"""Tenants declare the actions of their own applications: a JSON Schema for the metadata, versioned.

Only a subset of JSON Schema (2020-12) is taken: no references, which could reach outside, and no
patterns, whose matching time a tenant could blow up.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from audit.actions import SCHEMA_DECLARED
from audit.models import Declaration
from audit.registry import Action, Severity
from audit.services.recording import record
from kernel import db
from kernel.errors import Invalid
from kernel.ids import new_id

PERSONAL: Final = "x-personal"
"""Keyword that marks a property of the metadata as personal: committed to and erasable."""
LARGEST: Final = 20_000
DEEPEST: Final = 24
_REFUSED: Final = frozenset({"$ref", "$dynamicRef", "pattern", "patternProperties"})


def declare(
    tenant_id: UUID, *, action: str, schema: Mapping[str, Any], template: str = ""
) -> Declaration:
    """Declare an action or its next version; earlier versions stay with their entries.

    Raises:
        kernel.errors.Invalid: a malformed name (``/action``) or schema (``/schema``).
    """
    _check_action(action, template)
    _check_schema(schema)
    with db.atomic():
        said = (schema, template)
        latest = latest_of(action)
        if latest is None or (latest.schema, latest.template) != said:
            _alone(tenant_id, action)
            latest = latest_of(action)
        if latest is not None and (latest.schema, latest.template) == said:
            return latest
        made = Declaration(
            id=new_id(),
            tenant_id=tenant_id,
            action=action,
            version=latest.version + 1 if latest else 1,
            template=template,
            schema=dict(schema),
        )
        with db.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_schema (id, tenant_id, action, version, template, schema) "
                "VALUES (%s, %s, %s, %s, %s, %s::jsonb) RETURNING created_at",
                [made.id, tenant_id, action, made.version, template, orjson.dumps(schema).decode()],
            )
            made.created_at = cursor.fetchone()[0]
        record(
            action=SCHEMA_DECLARED.name,
            target_type="audit_schema",
            target_id=f"{action}@{made.version}",
            metadata={"personal": sorted(personal_of(schema))},
        )
    return made


def latest_of(action: str) -> Declaration | None:
    """Return the newest declaration of an action in the tenant of the context."""
    return Declaration.objects.filter(action=action).order_by("-version").first()


def personal_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the properties that the schema marks as personal."""
    properties = schema.get("properties", {})
    return frozenset(
        name
        for name, rules in properties.items()
        if isinstance(rules, dict) and rules.get(PERSONAL)
    )


def _alone(tenant_id: UUID, action: str) -> None:
    """Let one declaration of an action at a time count its versions."""
    with db.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s || %s, 0))",
            [f"audit schema {tenant_id} ", action],
        )


def _check_action(action: str, template: str) -> None:
    try:
        Action(action, Severity.INFO, template)
    except ValueError as error:
        raise Invalid(
            "An action is a dotted lower-case name: invoice.approved.", pointer="/action"
        ) from error


def _check_schema(schema: Mapping[str, Any]) -> None:
    if len(orjson.dumps(schema)) > LARGEST:
        raise Invalid(f"A schema has at most {LARGEST} bytes.", pointer="/schema")
    if not _is_flat(schema):
        raise Invalid(f"A schema has at most {DEEPEST} levels.", pointer="/schema")
    if found := _refused_in(schema):
        raise Invalid(f"The keyword {found} is not allowed here.", pointer="/schema")
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise Invalid(f"No JSON Schema: {error.message}", pointer="/schema") from error
    properties = schema.get("properties", {})
    marked = [name for name in personal_of(schema) if properties[name][PERSONAL] is True]
    if _marks(schema) != len(marked):
        raise Invalid(
            f"{PERSONAL} is true or false, and marks a property of the metadata itself: what lies"
            " deeper would not be committed to.",
            pointer="/schema",
        )


def _marks(value: object) -> int:
    """Count the marks in a schema, wherever they stand and whatever they say but false."""
    if isinstance(value, Mapping):
        here = PERSONAL in value and value[PERSONAL] is not False
        return here + sum(_marks(inner) for inner in value.values())
    return sum(map(_marks, value)) if isinstance(value, list) else 0


def _is_flat(schema: object) -> bool:
    level = [schema]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return not level


def _refused_in(value: object) -> str | None:
    """Return a keyword of the schema that is not taken, wherever it stands."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _REFUSED:
                return str(key)
            if found := _refused_in(inner):
                return found
    elif isinstance(value, list):
        for inner in value:
            if found := _refused_in(inner):
                return found
    return None
