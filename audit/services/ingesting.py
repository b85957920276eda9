"""Records entries of a tenant's own applications, in its own stream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from jsonschema import Draft202012Validator

from audit.encoding.canonical import EncodingRefusedError
from audit.models import Declaration, Outcome, Stream
from audit.origin import instance_origin
from audit.registry import Action, Severity
from audit.services.context import Context
from audit.services.declaring import latest_of, personal_of
from audit.services.entry import Draft, Entry, Target, build
from audit.services.recording import Receipt, keep
from kernel import db
from kernel.errors import FieldError, Invalid

MOST: Final = 1_000
MOST_KEYS: Final = 50
LONGEST_KEY: Final = 40
LONGEST_VALUE: Final = 500
_MOST_FAULTS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One entry as a tenant's application sends it. `external_id` is counted once, for ever."""

    action: str
    actor_type: str
    actor_id: str
    targets: Sequence[Target] = ()
    metadata: Mapping[str, Any] | None = None
    outcome: Outcome = Outcome.SUCCESS
    external_id: str = ""
    occurred_at: datetime | None = None
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a submission: its receipt, or the id of the entry that was there before."""

    receipt: Receipt | None
    event_id: UUID


def ingest(tenant_id: UUID, submissions: Sequence[Submission]) -> list[Ingested]:
    """Record submissions in one transaction: all of them or, on any fault, none.

    A repeated ``external_id`` records nothing and answers with the first entry's id.

    Raises:
        kernel.errors.Invalid: undeclared actions, metadata against its schema or over the limits;
            pointers lead to ``/events/<n>/…``.
    """
    declared = {
        name: found
        for name in {one.action for one in submissions}
        if (found := latest_of(name)) is not None
    }
    faults: list[FieldError] = []
    for number, submission in enumerate(submissions):
        faults += _faults(number, submission, declared.get(submission.action))
    if faults:
        raise Invalid("Entries have faults; see errors.", errors=faults[:_MOST_FAULTS])
    with db.atomic():
        entries = [_entry(tenant_id, one, declared[one.action]) for one in submissions]
        known = _claim(tenant_id, submissions, entries)
        outcomes: list[Ingested] = []
        for submission, entry in zip(submissions, entries, strict=True):
            first = known.get(submission.external_id, entry.id)
            if first == entry.id:
                keep(entry)
                outcomes.append(Ingested(Receipt(entry.id, entry.leaf_hash), entry.id))
            else:
                outcomes.append(Ingested(None, first))
    return outcomes


def _faults(number: int, one: Submission, declared: Declaration | None) -> list[FieldError]:
    at = f"/events/{number}"
    if declared is None:
        message = f"The action {one.action} is not declared; see audit/schemas."
        return [FieldError(f"{at}/action", "unknown_action", message)]
    metadata = dict(one.metadata or {})
    faults = [
        FieldError(f"{at}/metadata/{key}", "too_large", message)
        for key, value in metadata.items()
        if (message := _too_large(key, value))
    ]
    if len(metadata) > MOST_KEYS:
        message = f"At most {MOST_KEYS} keys."
        faults.append(FieldError(f"{at}/metadata", "too_many", message))
    if faults:
        return faults
    validator = Draft202012Validator(declared.schema)
    return [
        FieldError(
            "/".join([f"{at}/metadata", *map(str, error.path)]), "schema", error.message[:300]
        )
        for error in validator.iter_errors(metadata)
    ]


def _too_large(key: str, value: object) -> str:
    if len(key) > LONGEST_KEY:
        return f"A key has at most {LONGEST_KEY} characters."
    if len(str(value)) > LONGEST_VALUE:
        return f"A value has at most {LONGEST_VALUE} characters."
    return ""


def _entry(tenant_id: UUID, one: Submission, declared: Declaration) -> Entry:
    action = Action(
        one.action,
        Severity.INFO,
        declared.template,
        personal=personal_of(declared.schema),
        schema=declared.version,
    )
    draft = Draft(
        action=action,
        tenant_id=tenant_id,
        stream=Stream.TENANT,
        targets=one.targets,
        metadata=one.metadata,
        outcome=one.outcome,
        subject_id=one.actor_id,
        occurred_at=one.occurred_at,
    )
    context = Context(
        one.actor_type,
        one.actor_id,
        request_id=one.request_id,
        ip=one.ip,
        user_agent=one.user_agent,
    )
    try:
        return build(draft, context, origin=instance_origin())
    except EncodingRefusedError as error:
        raise Invalid(f"{one.action}: {error}", pointer="/events") from error


def _claim(
    tenant_id: UUID, submissions: Sequence[Submission], entries: Sequence[Entry]
) -> dict[str, UUID]:
    """Claim external ids for the new entries; return whose each id is: {external id: entry}."""
    wanted: dict[str, UUID] = {}
    for submission, entry in zip(submissions, entries, strict=True):
        if submission.external_id:
            wanted.setdefault(submission.external_id, entry.id)
    if not wanted:
        return {}
    with db.cursor() as cursor:
        # In one order for everybody, so that two batches never wait for each other in a circle.
        cursor.executemany(
            "INSERT INTO audit_ingest (tenant_id, external_id, event_id) VALUES (%s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            [(tenant_id, external, wanted[external]) for external in sorted(wanted)],
        )
        cursor.execute(
            "SELECT external_id, event_id FROM audit_ingest "
            "WHERE tenant_id = %s AND external_id = ANY (%s)",
            [tenant_id, list(wanted)],
        )
        return dict(cursor.fetchall())
