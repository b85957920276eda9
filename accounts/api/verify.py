"""``POST /api/v1/keys/verify``: one call answers who, may they, how much is left, and counts it."""

import hashlib
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from accounts import expressions
from kernel import db, idempotency, ids, ports, tenancy
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.gate import keys
from kernel.gate.admission import Question, Verification, verify
from kernel.gate.limits import Limit
from kernel.gate.turns import turns
from kernel.http.admittance import bearer, facts_of_request, refused
from kernel.http.client import address
from kernel.http.hot import HotEndpoint, HotRequest, LeanResponse, decode, json_body, json_response

PERMISSION = "keys:verify"
Cost = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Names = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=128)], ...], msgspec.Meta(max_length=200)
]


class MeterUse(msgspec.Struct, forbid_unknown_fields=True):
    """How much of which meter is about to be used; ``quantity`` is exact."""

    slug: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    quantity: Annotated[Decimal, msgspec.Meta()] = Decimal(1)


class Presented(msgspec.Struct, forbid_unknown_fields=True):
    """The body. ``permissions`` is a list (all are needed) or an expression with AND, OR, ( ).

    ``tags`` are the caller's own words about the request; nothing is decided by them.
    """

    key: Annotated[str, msgspec.Meta(max_length=512)]
    permissions: str | Names | None = None
    feature: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    meter: MeterUse | None = None
    cost: Cost = 1
    ip: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    tags: Names | None = None


class Feature(msgspec.Struct):
    """The asked feature, and whether the tenant's plan grants it (None: not got so far)."""

    key: str
    granted: bool | None


class Answer(msgspec.Struct):
    """What became of the presented key. ``reset`` and ``window`` are seconds."""

    valid: bool
    code: str
    tenant: str | None
    key_id: str | None
    permissions: tuple[str, ...]
    feature: Feature | None
    limits: list[Limit]
    request_id: str


_decoder = msgspec.json.Decoder(Presented)
_encoder = msgspec.json.Encoder()
_DOCUMENTED_LIMIT = inline_serializer(
    "VerifiedLimit",
    {
        "name": serializers.CharField(),
        "limit": serializers.IntegerField(),
        "window": serializers.IntegerField(help_text="Seconds."),
        "remaining": serializers.IntegerField(),
        "reset": serializers.IntegerField(help_text="Seconds until there is more."),
        "exceeded": serializers.BooleanField(),
    },
    many=True,
)
_CODES = [
    "VALID",
    "NOT_FOUND",
    "DISABLED",
    "EXPIRED",
    "TENANT_SUSPENDED",
    "FORBIDDEN",
    "INSUFFICIENT_PERMISSIONS",
    "FEATURE_NOT_IN_PLAN",
    "RATE_LIMITED",
    "USAGE_EXCEEDED",
]


class VerifyKey(HotEndpoint):
    """Verify a key that was presented to a service, and count the request where it is valid."""

    access: ClassVar = {"POST": Access(PERMISSION, Scope.ANY_TENANT, secret=True)}

    @extend_schema(
        operation_id="keys_verify",
        summary="Verify a presented key and count its use",
        description=(
            "Always 200 for outcomes; 401, 403 and 429 concern the caller's own key. `code` is the"
            " first that applies in the order of the enumeration; only VALID consumes, all limits"
            " or none. The key's and its tenant's limits count, the caller's do not. A tenant key"
            " verifies keys of its own tenant only; others are NOT_FOUND. Every call decides anew,"
            " and counts; with `meter`, an Idempotency-Key lets a repeated call use the meter once."
        ),
        request=inline_serializer(
            "VerifyRequest",
            {
                "key": serializers.CharField(),
                "permissions": serializers.JSONField(
                    required=False, help_text="A list (all needed), or 'a:b AND (c:d OR e:f)'."
                ),
                "feature": serializers.CharField(required=False),
                "meter": inline_serializer(
                    "VerifyMeter",
                    {
                        "slug": serializers.CharField(),
                        "quantity": serializers.DecimalField(38, 18, required=False),
                    },
                    required=False,
                ),
                "cost": serializers.IntegerField(required=False, min_value=0),
                "ip": serializers.IPAddressField(required=False),
                "tags": serializers.ListField(child=serializers.CharField(), required=False),
            },
        ),
        responses=inline_serializer(
            "VerifyAnswer",
            {
                "valid": serializers.BooleanField(),
                "code": serializers.ChoiceField(_CODES),
                "tenant": serializers.CharField(allow_null=True),
                "key_id": serializers.CharField(allow_null=True),
                "permissions": serializers.ListField(child=serializers.CharField()),
                "feature": inline_serializer(
                    "VerifiedFeature",
                    {
                        "key": serializers.CharField(),
                        "granted": serializers.BooleanField(allow_null=True),
                    },
                    allow_null=True,
                ),
                "limits": _DOCUMENTED_LIMIT,
                "request_id": serializers.CharField(),
            },
        ),
    )
    def post(self, request: Any) -> None:
        """Document the method; :meth:`serve` answers it."""

    @classmethod
    def serve(cls, request: HotRequest, **kwargs: str) -> LeanResponse:
        """Answer: 200 with the outcome.

        Raises:
            kernel.errors.DomainError: the caller's own key is refused, or the body has faults.
        """
        facts = facts_of_request()
        facts.secret = True
        caller = bearer(request)
        presented = decode(_decoder, json_body(request))
        question = question_of(presented)
        answer = ask(caller, question, ip=facts.client_ip, use_id=named_use(request, caller))
        if answer.caller_code != "VALID":
            raise refused(caller, answer.caller_code, answer.limits, facts, PERMISSION)
        facts.tenant_id = answer.tenant_id
        return json_response(_encoder.encode(shown(answer, presented, facts.request_id)))


def question_of(presented: Presented) -> Question:
    """Turn the body into the gate's question.

    Raises:
        kernel.errors.Invalid: a malformed address, permission or quantity.
    """
    wanted = presented.permissions
    meter = presented.meter
    ip = None if presented.ip is None else address(presented.ip)
    if presented.ip is not None and ip is None:
        raise Invalid("ip is not an IP address.", pointer="/ip")
    if meter is not None and not (meter.quantity.is_finite() and meter.quantity >= 0):
        raise Invalid("quantity is a number of at least 0.", pointer="/meter/quantity")
    if not wanted:
        needed = None
    elif isinstance(wanted, str):
        needed = expressions.alternatives(wanted)
    else:
        needed = expressions.all_of(wanted)
    return Question(
        presented.key,
        ip,
        needed,
        presented.feature,
        presented.cost,
        meter.slug if meter else None,
        meter.quantity if meter else Decimal(0),
    )


def named_use(request: HotRequest, caller: str) -> str | None:
    """Name the use that a call reports by its Idempotency-Key, caller and body; None without one.

    Raises:
        kernel.errors.Invalid: the key is empty or too long.
    """
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    public_id, _ = keys.parse(caller) or ("", "")
    named = f"{public_id}\0{idempotency.checked(key)}\0".encode() + request.body
    return hashlib.sha256(named).hexdigest()


def ask(
    caller: str, question: Question, *, ip: str | None, use_id: str | None = None
) -> Verification:
    """Ask the gate; with a meter, record the use in the transaction of the decision.

    A use that was recorded under ``use_id`` before is used once: the decision is made anew, and
    without the meter, whose quota the first call has met (docs/adr/0141).

    Raises:
        kernel.errors.DomainError: the gate does not answer, or the meter is unknown.
    """
    if question.meter is None:
        return verify(turns, caller, question, ip=ip, permission=PERMISSION)
    with db.atomic():
        if use_id is not None and _used(caller, question, use_id, ip):
            question = replace(question, meter=None)
        answer = verify(None, caller, question, ip=ip, permission=PERMISSION)
        metered = question.meter is not None and question.quantity
        if answer.code == "VALID" and answer.tenant_id is not None and metered:
            with tenancy.adopted(answer.tenant_id):
                record(answer.tenant_id, answer.key_id, question, use_id or str(ids.new_id()))
        return answer


def _used(caller: str, question: Question, use_id: str, ip: str | None) -> bool:
    """Look, at no cost, whose key it is, and whether the use stands in that tenant's ledger."""
    look = replace(question, meter=None, cost=0)
    found = verify(None, caller, look, ip=ip, permission=PERMISSION)
    if found.caller_code != "VALID" or found.tenant_id is None:
        return False
    with tenancy.tenant_context(found.tenant_id):  # the look, unlike a metered one, sets none
        return ports.usage().recorded(found.tenant_id, use_id)


def record(tenant_id: UUID, key_id: UUID | None, question: Question, event_id: str) -> None:
    """Write the metered use as one usage event of the tenant."""
    ports.usage().record(
        tenant_id=tenant_id,
        meter=question.meter or "",
        quantity=question.quantity,
        event_id=event_id,
        data={"key": ids.encode("key", key_id) if key_id else ""},
    )


def shown(answer: Verification, presented: Presented, request_id: str) -> Answer:
    """Write the answer as the caller sees it."""
    feature = None
    if presented.feature:
        missing = answer.code == "FEATURE_NOT_IN_PLAN"
        reached = answer.code in ("VALID", "RATE_LIMITED", "USAGE_EXCEEDED")
        feature = Feature(presented.feature, False if missing else (True if reached else None))
    return Answer(
        answer.code == "VALID",
        answer.code,
        ids.encode(ids.TENANT, answer.tenant_id) if answer.tenant_id else None,
        ids.encode("key", answer.key_id) if answer.key_id else None,
        answer.permissions,
        feature,
        list(answer.limits),
        request_id,
    )
