"""Many entitlements of many customers in one call."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.entitlements import shown
from billing.api.shapes import AccessQuestionSerializer, ManyAccessSerializer
from billing.entitlements.queries.many import MOST, Known, known, values_of
from billing.entitlements.queries.values import EntitlementValue
from billing.entitlements.services import project
from billing.usage.api import parameters
from billing.usage.api.reach import reach
from billing.usage.queries.customers import public_id
from kernel import ids
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Names = Annotated[list[Name], msgspec.Meta(min_length=1, max_length=MOST)]


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """Whose access, and to what; without features, to all that is granted."""

    customers: Names
    features: Names | None = None


class AccessQuery(Endpoint):
    """The entitlement values of many customers."""

    access: ClassVar = {"POST": Access(permissions.ENTITLEMENTS_READ.name, Scope.ANY_TENANT)}

    @extend_schema(request=AccessQuestionSerializer, responses=ManyAccessSerializer)
    def post(self, request: Request) -> Response:
        """Tell what up to 100 customers may use of up to 100 features, all as of one instant.

        Each value is as in `GET …/entitlements/{feature}/value`. Names that belong to no customer
        that the caller may see are in `notFound`.
        """
        asked = parameters.body(Question, request.data)
        with reach():
            found = _known(asked.customers)
            values = _values(found, asked.features)
        named = {name for one in found for name in (one.slug, public_id(one.id))}
        return Response(
            {
                "customers": [_access(one, values[one.id]) for one in found],
                "notFound": [name for name in asked.customers if name not in named],
            }
        )


def _known(names: Sequence[str]) -> list[Known]:
    named = {name: ids.read(ids.TENANT, name) for name in names}
    return known(
        [id_ for id_ in named.values() if id_ is not None],
        [name for name, id_ in named.items() if id_ is None],
    )


def _values(
    found: Sequence[Known], features: Sequence[str] | None
) -> dict[UUID, dict[str, EntitlementValue | None]]:
    """Read the values; open the quota windows of tenants that nobody has asked about for long."""
    now = datetime.now(UTC)
    values, missing = values_of(found, features, now)
    if missing:
        for tenant_id in missing:
            project(tenant_id)
        values, _ = values_of(found, features, now)
    return values


def _access(one: Known, values: dict[str, EntitlementValue | None]) -> dict[str, Any]:
    entitlements = {key: shown(value) for key, value in values.items()}
    return {"id": public_id(one.id), "key": one.slug, "entitlements": entitlements}
