"""Rules of retention and legal holds: the operator's; what the tenant may know of its own."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.models import PLATFORM_TENANT, Hold
from audit.permissions import READ, RETAIN
from audit.queries import retention
from audit.services import holds
from audit.services.retention import LONGEST, SHORTEST, Subject, follow, keep_for
from kernel import db
from kernel.authz import Access, Scope
from kernel.errors import Invalid
from kernel.http.endpoint import Endpoint
from kernel.http.inputs import Input, ReasonInput, body, identifier, tenant_id
from kernel.http.pagination import page
from kernel.http.schema import PAGE, page_of
from kernel.ids import TENANT, encode
from kernel.tenancy import across_tenants, current_tenant

_RULES = ["tenant", "plan", "default", "none"]


class RuleInput(Input):
    """A rule: of a tenant, of a plan, of every tenant (plan ``*``), of the instance (neither)."""

    tenant = serializers.CharField(required=False, default="", help_text="ten_…")
    plan = serializers.CharField(required=False, default="", max_length=100)
    days = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=SHORTEST, max_value=LONGEST,
        help_text="How long entries are kept; null for ever.",
    )  # fmt: skip
    inherit = serializers.BooleanField(
        required=False, default=False, help_text="Take the rule away: the next wider one holds."
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


@extend_schema_serializer(component_name="AuditRetentionRule")
class RuleSerializer(serializers.Serializer[Any]):
    """A rule as it is stored."""

    tenant = serializers.CharField(allow_null=True)
    plan = serializers.CharField(allow_null=True)
    days = serializers.IntegerField(allow_null=True, help_text="Null: for ever.")


@extend_schema_serializer(component_name="AuditRetentionRules")
class RulesSerializer(serializers.Serializer[Any]):
    """All rules."""

    items = RuleSerializer(many=True)


@extend_schema_serializer(component_name="AuditPruned")
class PrunedSerializer(serializers.Serializer[Any]):
    """What has been pruned of one log."""

    log = serializers.CharField()
    below = serializers.IntegerField(help_text="Every pruned place lies below.")
    ranges = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text="[first, past) pairs.",
    )
    statement = serializers.CharField(help_text="The signed statement, verbatim.")


@extend_schema_serializer(component_name="AuditRetention")
class RetentionSerializer(serializers.Serializer[Any]):
    """How long the tenant's entries are kept."""

    days = serializers.IntegerField(allow_null=True, help_text="Null: for ever.")
    rule = serializers.ChoiceField(choices=_RULES, help_text="Whose rule that is.")
    held = serializers.BooleanField(help_text="A legal hold keeps entries beyond that.")
    pruned = PrunedSerializer(many=True)


class HoldInput(Input):
    """What to hold, and why."""

    tenant = serializers.CharField(help_text="ten_…")
    reason = serializers.CharField(max_length=holds.LONGEST_REASON)
    filter = serializers.DictField(
        child=serializers.CharField(), required=False, default=dict,
        help_text="actor, target, person, action (`key.*`), from, to; none holds everything.",
    )  # fmt: skip


@extend_schema_serializer(component_name="AuditHold")
class HoldSerializer(serializers.Serializer[Any]):
    """A legal hold."""

    id = serializers.CharField()
    tenant = serializers.CharField()
    reason = serializers.CharField()
    filter = serializers.DictField()
    set_at = serializers.DateTimeField()
    released_at = serializers.DateTimeField(allow_null=True)


class Rules(Endpoint):
    """Rules of retention."""

    access: ClassVar = {
        "GET": Access(READ.name, Scope.OPERATOR),
        "PUT": Access(RETAIN.name, Scope.OPERATOR),
    }

    @extend_schema(
        operation_id="admin_audit_retention_list",
        parameters=[OpenApiParameter("tenant", str, description="The rule of this one (ten_…).")],
        responses=RulesSerializer,
    )
    def get(self, request: Request) -> Response:
        """List the rules of the instance and of plans, or the one of a tenant's own."""
        named = request.query_params.get("tenant")
        found = retention.rules(tenant_id(named) if named else PLATFORM_TENANT)
        return Response({"items": [_rule(one) for one in found]})

    @extend_schema(
        operation_id="admin_audit_retention_set", request=RuleInput, responses=RuleSerializer
    )
    def put(self, request: Request) -> Response:
        """Set a rule or take it away. What it lets go goes with the next nightly round."""
        given = body(request, RuleInput)
        tenant = tenant_id(given["tenant"]) if given["tenant"] else PLATFORM_TENANT
        subject = Subject(tenant, given["plan"])
        if given["inherit"]:
            follow(subject, reason=given["reason"])
        elif "days" not in request.data:
            raise Invalid("Say how many days, or null for ever.", pointer="/days")
        else:
            keep_for(subject, given["days"], reason=given["reason"])
        stored = retention.StoredRule(subject.tenant_id, subject.plan, given["days"])
        return Response(_rule(stored))


class Holds(Endpoint):
    """Legal holds."""

    access: ClassVar = {
        "GET": Access(READ.name, Scope.OPERATOR),
        "POST": Access(RETAIN.name, Scope.OPERATOR),
    }

    @extend_schema(
        operation_id="admin_audit_holds_list",
        parameters=[
            *PAGE,
            OpenApiParameter("tenant", str, description="Only this tenant's (ten_…)."),
            OpenApiParameter("open", bool, description="Only those that are not released."),
        ],
        responses=page_of("AuditHoldPage", HoldSerializer),
    )
    def get(self, request: Request) -> Response:
        """List holds, newest first."""
        rows = Hold.objects.all()
        if tenant := request.query_params.get("tenant"):
            rows = rows.filter(tenant_id=tenant_id(tenant))
        if request.query_params.get("open") == "true":
            rows = rows.filter(released_at=None)
        return Response(page(rows, request.query_params, _hold))

    @extend_schema(
        operation_id="admin_audit_holds_set", request=HoldInput, responses={201: HoldSerializer}
    )
    def post(self, request: Request) -> Response:
        """Hold entries of a tenant: they are neither pruned nor erased until it is released."""
        given = body(request, HoldInput)
        made = holds.hold(
            tenant_id(given["tenant"]), reason=given["reason"], narrowed=given["filter"]
        )
        return Response(_hold(made), 201)


class HoldRelease(Endpoint):
    """The end of a hold."""

    access: ClassVar = {"POST": Access(RETAIN.name, Scope.OPERATOR)}

    @extend_schema(
        operation_id="admin_audit_holds_release", request=ReasonInput, responses=HoldSerializer
    )
    def post(self, request: Request, hold: str) -> Response:
        """Release a hold for good; one that is released stays so."""
        known = identifier(holds.PREFIX, hold, "There is no such hold.", code="not_found")
        return Response(_hold(holds.release(known, reason=body(request, ReasonInput)["reason"])))


class OwnRetention(Endpoint):
    """The tenant's own retention."""

    access: ClassVar = {"GET": Access(READ.name, Scope.TENANT)}

    @extend_schema(operation_id="audit_retention_read", responses=RetentionSerializer)
    def get(self, request: Request) -> Response:
        """Read how long entries are kept, and what has been pruned, with the signed statements."""
        tenant = current_tenant()
        with db.use_alias("staff"), across_tenants():
            rule, held = retention.standing(tenant)
            pruned = retention.pruned(tenant)
        return Response(
            {
                "days": rule.days,
                "rule": rule.source,
                "held": held,
                "pruned": [
                    {
                        "log": one.log_id.hex,
                        "below": one.upto,
                        "ranges": [list(pair) for pair in one.ranges],
                        "statement": one.statement,
                    }
                    for one in pruned
                ],
            }
        )


def _rule(one: retention.StoredRule) -> dict[str, Any]:
    tenant = encode(TENANT, one.tenant_id) if one.tenant_id != PLATFORM_TENANT else None
    return {"tenant": tenant, "plan": one.plan or None, "days": one.days}


def _hold(one: Hold) -> dict[str, Any]:
    return {
        "id": encode(holds.PREFIX, one.id),
        "tenant": encode(TENANT, one.tenant_id),
        "reason": one.reason,
        "filter": {
            name: value[0] if isinstance(value, list) else value
            for name, value in one.filter.items()
        },
        "set_at": one.set_at,
        "released_at": one.released_at,
    }
