"""A URL configuration that shows every way in which an endpoint can answer."""

from typing import ClassVar

from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import IntegrityError, OperationalError
from django.urls import path
from psycopg.errors import CheckViolation, UniqueViolation
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.response import Response

from kernel import db, errors, tenancy
from kernel.authz import PUBLIC, Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.http.hot import HotEndpoint, json_response
from kernel.http.routes import public

handler400 = "kernel.http.problem.bad_request"
handler403 = "kernel.http.problem.permission_denied"
handler404 = "kernel.http.problem.page_not_found"
handler500 = "kernel.http.problem.server_error"

RAISED = {
    "invalid": errors.Invalid("no", pointer="/name"),
    "not_found": errors.NotFound(),
    "conflict": errors.Conflict("no"),
    "gone": errors.Gone("no"),
    "forbidden": errors.Forbidden("no"),
    "unavailable": errors.Unavailable("no", retry_after=3),
    "too_large": errors.TooLarge("no"),
    "media": errors.UnsupportedMediaType("no"),
    "rate": errors.RateLimited("no", retry_after=0),
    "quota": errors.QuotaExceeded("no"),
    "denied": PermissionDenied("secret reason"),
    "suspicious": SuspiciousOperation("secret reason"),
    "by_hand": ValidationError("secret reason"),
    "database": OperationalError("secret reason"),
    "race": IntegrityError("secret reason"),
    "broken_rule": IntegrityError("secret reason"),
    "throttled": Throttled(),
    "bug": RuntimeError("secret reason"),
}
RAISED["race"].__cause__ = UniqueViolation("secret reason")
RAISED["broken_rule"].__cause__ = CheckViolation("secret reason")


class NameSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=3)
    children = serializers.ListField(child=serializers.IntegerField(), required=False)


class Things(Endpoint):
    access: ClassVar = {
        "GET": Access("meters:read", Scope.TENANT),
        "POST": Access("meters:read", Scope.TENANT),
    }

    def get(self, request):
        with db.cursor() as cursor:
            cursor.execute("SELECT current_setting('app.tenant', true), session_user")
            setting, role = cursor.fetchone()
        return Response({"tenant": str(tenancy.current_tenant()), "setting": setting, "role": role})

    def post(self, request):
        given = NameSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(given.validated_data, 201)


class OperatorThings(Endpoint):
    access: ClassVar = {"GET": Access("meters:read", Scope.OPERATOR)}

    def get(self, request):
        return Response({"alias": db.alias(), "tenant": tenancy.tenant_or_none()})


class Raise(Endpoint):
    access: ClassVar = {"GET": PUBLIC}

    def get(self, request, what):
        raise RAISED[what]


class HotRaise(HotEndpoint):
    access: ClassVar = {"GET": PUBLIC}

    def get(self, request, what):
        """Document."""

    @classmethod
    def serve(cls, request, **kwargs):
        raise RAISED[kwargs["what"]]


class HotThings(HotEndpoint):
    access: ClassVar = {"GET": Access("meters:read", Scope.TENANT)}

    def get(self, request):
        """Document."""

    @classmethod
    def serve(cls, request, **kwargs):
        cls.admit(request)
        return json_response(b'{"hot":true}')


class Big(Endpoint):
    access: ClassVar = {"GET": PUBLIC, "POST": Access("meters:read", Scope.TENANT, secret=True)}

    def get(self, request):
        return Response({"text": "x" * 5000})

    def post(self, request):
        return Response({"text": "x" * 5000})


def undeclared(request):
    raise AssertionError("never called")


urlpatterns = [
    path("things", Things.as_view()),
    path("operator", OperatorThings.as_view()),
    path("raise/<str:what>", Raise.as_view()),
    path("hot/raise/<str:what>", HotRaise.as_view()),
    path("hot/things", HotThings.as_view()),
    path("big", Big.as_view()),
    path("declared", public(undeclared)),
]


def forgotten(request):
    raise AssertionError("never called")
