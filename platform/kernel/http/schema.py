"""OpenAPI: what every operation has in common is written once, here."""

from collections.abc import Mapping
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from kernel.authz import Access, Scope

Direction = Literal["request", "response"]


class FaultSerializer(serializers.Serializer[Any]):
    """One fault of one field."""

    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901) to the faulty field.")
    code = serializers.CharField()
    message = serializers.CharField()
    fix = serializers.CharField(required=False, help_text="What to do about it.")


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem document (RFC 9457)."""

    type = serializers.URLField(help_text="Resolves to a page about this code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField(help_text="Stable, snake_case.")
    request_id = serializers.CharField()
    errors = FaultSerializer(many=True, required=False)  # type: ignore[assignment]  # DRF's property
    extensions = serializers.DictField(required=False)


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER,
    description="Up to 255 characters: repeating the request with it gives the first answer.",
)  # fmt: skip
NAMED_TENANT = OpenApiParameter(
    "Innkeeper-Tenant", str, OpenApiParameter.HEADER,
    description="The tenant (ten_…) that a platform key acts for.",
)  # fmt: skip
PAGE = [
    OpenApiParameter("limit", int, description="1 to 100, default 50."),
    OpenApiParameter("cursor", str, description="The previous page's `next`."),
    OpenApiParameter("fields", str, description="Comma-separated names of members to keep."),
]


def page_of(name: str, item: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """Describe a page of items for :func:`drf_spectacular.utils.extend_schema`."""
    fields = {
        "items": item(many=True),
        "next": serializers.CharField(allow_null=True, help_text="Cursor of the next page."),
    }
    return inline_serializer(name, fields)


class EndpointSchema(AutoSchema):
    """Derive tags, security, common headers and the problem response from ``access``."""

    def _access(self) -> Access | None:
        declared: Mapping[str, Access] = getattr(self.view, "access", {})
        return declared.get(self.method)

    def get_operation_id(self) -> str:
        """Name the operation after method and path: stable, and unique by construction."""
        parts = [part for part in self.path.split("/") if part and part not in ("api", "v1")]
        words = [f"by_{part[1:-1]}" if part.startswith("{") else part for part in parts]
        return "_".join([self.method.lower(), *words]).replace("-", "_")

    def get_tags(self) -> list[str]:
        """Group by the noun of the path."""
        parts = [part for part in self.path.split("/") if part and not part.startswith("{")]
        nouns = [part for part in parts if part not in ("api", "v1", "v2")]
        if nouns[:1] == ["admin"]:
            return ["operator: " + (nouns[1] if len(nouns) > 1 else "")]
        return nouns[:1] or ["operations"]

    def get_auth(self) -> list[dict[str, Any]]:
        """Ask for no credential on public routes, for a key or a staff session on operator's.

        Everywhere else for a key: what names no security is called without any, by pages too.
        """
        access = self._access()
        if access is not None and access.scope is Scope.PUBLIC:
            return [{}]
        if access is not None and access.scope is Scope.OPERATOR:
            session: dict[str, Any] = {"StaffSession": []}
            return [
                {"ApiKey": []},
                session if self.method == "GET" else session | {"CsrfToken": []},
            ]
        return [{"ApiKey": []}]

    def get_override_parameters(self) -> list[Any]:
        """Add the headers that the scope and the method bring."""
        access = self._access()
        parameters = []
        if self.method == "POST" and access and access.scope is not Scope.PUBLIC:
            parameters.append(IDEMPOTENCY_KEY)
        if access and access.scope in (Scope.TENANT, Scope.ANY_TENANT):
            parameters.append(NAMED_TENANT)
        return parameters

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = OpenApiResponse(ProblemSerializer, "A problem document.")
        bodies["default"] = self._get_response_for_code(  # type: ignore[no-untyped-call]  # upstream
            problem, "default", media_types=["application/problem+json"]
        )
        return bodies
