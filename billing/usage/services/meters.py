"""Defining meters: one verb, one transaction, one audit entry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from audit.services import audited, record
from billing.usage import actions, paths
from billing.usage.metadata import LONGEST_NAME, metadata_faults, text_fault
from billing.usage.models import OPERATOR, Aggregation, Meter
from billing.usage.models.meters import SLUG_PATTERN
from billing.usage.queries.archives import is_archived
from billing.usage.queries.meters import public_id
from kernel import db
from kernel.errors import Conflict, FieldError, Invalid

LONGEST_SLUG: Final = 64
LONGEST_TYPE: Final = 256
MOST_GROUPS: Final = 8
"""How many group-by keys a meter may have: each combination of values has its own roll-ups."""
_GROUP_KEY: Final = re.compile(r"^[a-zA-Z_][0-9a-zA-Z_]*$")
_RESERVED: Final = frozenset({"subject", "customer_id"})
_SHOWN: Final = ("slug", "name", "description", "aggregation", "event_type", "value_property")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A meter to be made. Paths are of :mod:`billing.usage.paths`; ``event_from`` is aware."""

    slug: str
    aggregation: str
    event_type: str
    value_property: str | None = None
    group_by: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    event_from: datetime | None = None

    def validate(self) -> None:
        """Check all rules at once.

        Raises:
            kernel.errors.Invalid: some are broken; every one is named.
        """
        faults: list[FieldError] = []
        if not re.fullmatch(SLUG_PATTERN, self.slug) or len(self.slug) > LONGEST_SLUG:
            message = f"A slug is lower case words joined by _, at most {LONGEST_SLUG} characters."
            faults.append(FieldError("/slug", "invalid_slug", message))
        if self.aggregation not in Aggregation.values:
            message = f"An aggregation is one of {', '.join(Aggregation.values)}."
            faults.append(FieldError("/aggregation", "invalid_aggregation", message))
        if not 0 < len(self.event_type) <= LONGEST_TYPE:
            message = f"An event type has 1 to {LONGEST_TYPE} characters."
            faults.append(FieldError("/eventType", "invalid", message))
        faults += self._value_faults()
        faults += group_faults(self.group_by, self.value_property)
        faults += told_faults(self.name, self.description, self.metadata)
        if faults:
            raise Invalid(faults[0].message, code="invalid_meter", errors=faults)

    def _value_faults(self) -> list[FieldError]:
        counts = self.aggregation == Aggregation.COUNT
        if counts and self.value_property is not None:
            return [FieldError("/valueProperty", "invalid", "COUNT reads no valueProperty.")]
        if not counts and not self.value_property:
            message = f"{self.aggregation} needs a valueProperty."
            return [FieldError("/valueProperty", "required", message)]
        return path_faults(self.value_property, "/valueProperty")


def create(definition: Definition, *, scope: UUID) -> Meter:
    """Define a meter for all tenants (scope OPERATOR) or for one (its id).

    Earlier events of its type count too: until they are in the roll-ups, the meter is read from
    raw events.

    Raises:
        kernel.errors.Invalid: the definition breaks a rule.
        kernel.errors.Conflict: the slug is taken among the meters that could be seen together.
    """
    definition.validate()
    with audited():
        _claim(definition.slug, scope)
        value = definition.value_property
        meter = Meter(
            scope=scope,
            slug=definition.slug,
            name=definition.name,
            description=definition.description,
            aggregation=definition.aggregation,
            event_type=definition.event_type,
            event_from=definition.event_from,
            value_property=value,
            value_path=paths.parse(value, "/valueProperty") if value else [],
            group_by=dict(definition.group_by),
            group_paths=_group_paths(definition.group_by),
            metadata=dict(definition.metadata),
        )
        meter.save(force_insert=True)
        record(
            action=actions.METER_CREATED.name,
            target_type="meter",
            target_id=public_id(meter.id),
            after={name: getattr(meter, name) for name in _SHOWN},
        )
    return meter


def update(meter: Meter, changes: Mapping[str, Any]) -> Meter:
    """Change name, description, metadata or group_by; what is absent stays.

    New groups are counted back over all earlier events.

    Raises:
        kernel.errors.Invalid: a group key or path breaks a rule, or a text is too long.
        kernel.errors.Conflict: other groups, and some of the meter's events were archived: they
            could not be counted anew.
    """
    groups = changes.get("group_by", meter.group_by)
    faults = group_faults(groups, meter.value_property)
    faults += told_faults(
        changes.get("name", ""), changes.get("description", ""), changes.get("metadata", {})
    )
    if faults:
        raise Invalid(faults[0].message, code="invalid_meter", errors=faults)
    with audited():
        before = {name: getattr(meter, name) for name in ("name", "description", "group_by")}
        regrouped = dict(groups) != meter.group_by
        written = ["updated_at"]
        for name in ("name", "description", "metadata"):
            if name in changes:
                setattr(meter, name, changes[name])
                written.append(name)
        if regrouped and is_archived(meter.id):
            raise Conflict(
                "Some events of this meter are archived and cannot be grouped anew: make another.",
                pointer="/groupBy",
            )
        if regrouped:
            meter.group_by = dict(groups)
            meter.group_paths = _group_paths(groups)
            meter.ready = False
            written += ["group_by", "group_paths", "ready"]
        # Only these: what others change in the meantime stays theirs.
        meter.save(update_fields=written)
        record(
            action=actions.METER_UPDATED.name,
            target_type="meter",
            target_id=public_id(meter.id),
            before=before,
            after={name: getattr(meter, name) for name in before},
        )
    return meter


def delete(meter: Meter) -> None:
    """Stop a meter. Its slug is free again; its events stay, as events do."""
    with audited():
        meter.deleted_at = datetime.now(UTC)
        meter.save(update_fields=["deleted_at", "updated_at"])
        record(
            action=actions.METER_DELETED.name,
            target_type="meter",
            target_id=public_id(meter.id),
            before={name: getattr(meter, name) for name in _SHOWN},
        )


def path_faults(path: str | None, pointer: str) -> list[FieldError]:
    """Name what is wrong with a path; nothing about an absent one."""
    if path is None:
        return []
    try:
        paths.parse(path, pointer)
    except Invalid as refused:
        return list(refused.errors)
    return []


def group_faults(groups: Mapping[str, str], value_property: str | None) -> list[FieldError]:
    """Name what is wrong with group-by keys and paths."""
    faults: list[FieldError] = []
    if len(groups) > MOST_GROUPS:
        message = f"A meter has at most {MOST_GROUPS} group-by keys."
        faults.append(FieldError("/groupBy", "too_many", message))
    for key, path in groups.items():
        pointer = f"/groupBy/{key}"
        if not _GROUP_KEY.fullmatch(key) or key in _RESERVED:
            message = f"{key!r} is no group-by key: letters, digits, _; subject is reserved."
            faults.append(FieldError(pointer, "invalid_key", message))
        if path == value_property:
            faults.append(FieldError(pointer, "invalid", "The value cannot be a group."))
        faults += path_faults(path, pointer)
    return faults


def told_faults(name: str, description: str, metadata: Mapping[str, str]) -> list[FieldError]:
    """Name what is too long of what is said about a meter."""
    return [
        *text_fault(name, "/name", LONGEST_NAME),
        *text_fault(description, "/description"),
        *metadata_faults(metadata),
    ]


def _group_paths(groups: Mapping[str, str]) -> list[str]:
    """Write each path as a text[] literal, in the order of the sorted keys."""
    written = []
    for key in sorted(groups):
        steps = [
            step.replace("\\", "\\\\").replace('"', '\\"')
            for step in paths.parse(groups[key], f"/groupBy/{key}")
        ]
        written.append("{" + ",".join(f'"{step}"' for step in steps) + "}")
    return written


def _claim(slug: str, scope: UUID) -> None:
    """Let one definition at a time claim a slug; refuse one that somebody in sight has.

    A tenant sees the operator's meters beside its own, the operator's must fit every tenant.
    """
    with db.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('meter ' || %s, 0))", [slug])
    others = Meter.objects.filter(slug=slug, deleted_at=None)
    if scope != OPERATOR:
        others = others.filter(scope__in=[OPERATOR, scope])
    taken = others.first()
    if taken is not None:
        raise Conflict(
            f"A meter {slug!r} exists.",
            code="meter_exists",
            extensions={"conflictingEntityId": public_id(taken.id)},
        )
