"""Subjects: names and facts of those whom usage concerns."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing import permissions
from billing.api.shapes import SubjectInputSerializer, SubjectSerializer
from billing.subscriptions.models import Subject
from billing.subscriptions.models.subjects import SUBJECT_PREFIX
from billing.subscriptions.queries import subjects as queries
from billing.subscriptions.services import subjects as services
from billing.subscriptions.services.subjects import Description
from billing.usage.api import parameters
from billing.usage.api.reach import reach, scope
from kernel import db
from kernel.authz import Access, PrincipalKind, Scope, current_principal
from kernel.http.endpoint import Endpoint
from kernel.ids import encode
from kernel.tenancy import across_tenants

_READ = Access(permissions.SUBJECTS_READ.name, Scope.ANY_TENANT)
_WRITE = Access(permissions.SUBJECTS_WRITE.name, Scope.ANY_TENANT)


class GivenSubject(msgspec.Struct, rename="camel", kw_only=True):
    """A subject as it is sent: absent members stay, null clears."""

    key: str
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    current_period_start: datetime | msgspec.UnsetType | None = msgspec.UNSET
    current_period_end: datetime | msgspec.UnsetType | None = msgspec.UNSET
    stripe_customer_id: str | msgspec.UnsetType | None = msgspec.UNSET

    def description(self) -> Description:
        """Give what the service takes: texts are empty where null clears them."""
        changes: dict[str, Any] = {}
        for name in ("display_name", "stripe_customer_id"):
            if (value := getattr(self, name)) is not msgspec.UNSET:
                changes[name] = value or ""
        for name in ("current_period_start", "current_period_end"):
            if (value := getattr(self, name)) is not msgspec.UNSET:
                changes[name] = value and parameters.aware(value)
        if self.metadata is not msgspec.UNSET:
            changes["metadata"] = self.metadata
        return Description(key=self.key, changes=changes)


class Subjects(Endpoint):
    """All subjects that the caller may see."""

    access: ClassVar = {"GET": _READ, "POST": _WRITE}

    @extend_schema(responses=SubjectSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List subjects by key."""
        with reach():
            return Response([shown(subject) for subject in queries.listed()])

    @extend_schema(
        request=SubjectInputSerializer(many=True),
        responses={200: SubjectSerializer(many=True)},
    )
    def post(self, request: Request) -> Response:
        """Create or change subjects, all or none: absent members stay, null clears.

        A platform key that names a tenant also attributes the subjects to it: events about them
        count for that tenant. A subject of another tenant answers 409.
        """
        given = parameters.body(list[GivenSubject], request.data)
        descriptions = [one.description() for one in given]
        whose = scope()
        with _attributing():
            written = services.upsert(descriptions, scope=whose)
        return Response([shown(subject) for subject in written])


class OneSubject(Endpoint):
    """One subject, by id or key."""

    access: ClassVar = {"GET": _READ, "DELETE": _WRITE}

    @extend_schema(responses=SubjectSerializer)
    def get(self, request: Request, subject: str) -> Response:
        """Read a subject."""
        with reach():
            return Response(shown(queries.find(subject)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, subject: str) -> Response:
        """Forget what was said of a subject. Its usage stays."""
        with reach():
            services.delete(queries.find(subject))
        return Response(status=204)


@contextmanager
def _attributing() -> Iterator[None]:
    """Work as staff where the operator calls: whose a subject is concerns all tenants."""
    if current_principal().kind is not PrincipalKind.PLATFORM_KEY:
        yield
        return
    with db.use_alias("staff"), across_tenants():
        yield


def shown(subject: Subject) -> dict[str, Any]:
    """Write a subject as OpenMeter does."""
    body: dict[str, Any] = {
        "id": encode(SUBJECT_PREFIX, subject.id),
        "key": subject.key,
        "createdAt": subject.created_at,
        "updatedAt": subject.updated_at,
    }
    optional = {
        "displayName": subject.display_name,
        "metadata": subject.metadata,
        "currentPeriodStart": subject.current_period_start,
        "currentPeriodEnd": subject.current_period_end,
        "stripeCustomerId": subject.stripe_customer_id,
    }
    return body | {name: value for name, value in optional.items() if value}
