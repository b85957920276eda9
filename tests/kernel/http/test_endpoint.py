"""Endpoints: deny by default, the right role and tenant, what the caller hears about itself."""

import pytest
from django.core import checks
from django.test import override_settings
from django.urls import path
from rest_framework.response import Response

from kernel import ids
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint, UndeclaredAccessError
from kernel.http.routes import check_routes
from tests.kernel.gate.credentials import make_key, make_tenant, set_tenant_status
from tests.kernel.http import toy


def test_endpoint__method_without_access__cannot_be_defined():
    with pytest.raises(UndeclaredAccessError, match="answers \\['GET'\\] and declares \\[\\]"):

        class Forgotten(Endpoint):
            def get(self, request):
                return Response()


def test_endpoint__access_without_method__cannot_be_defined():
    with pytest.raises(UndeclaredAccessError):

        class Ghost(Endpoint):
            access = {"POST": Access("a:b", Scope.TENANT)}


def test_check__undeclared_view_and_unknown_permission__are_errors():
    class Typo(Endpoint):
        access = {"GET": Access("meters:raed", Scope.TENANT)}

        def get(self, request):
            return Response()

    class Conf:
        urlpatterns = [path("x", toy.forgotten), path("y", Typo.as_view())]

    with override_settings(ROOT_URLCONF=Conf):
        found = check_routes()
    assert [(type(x), x.id) for x in found] == [
        (checks.Error, "kernel.E001"),
        (checks.Error, "kernel.E002"),
    ]


def test_tenant_route__own_key__runs_as_app_for_its_tenant(client, tenant, bearer):
    body = client.get("/things", headers=bearer).json()
    assert body == {"tenant": str(tenant), "setting": str(tenant), "role": "innkeeper_app"}


def test_tenant_route__platform_key__needs_and_takes_a_named_tenant(
    client, tenant, platform_bearer
):
    answer = client.get("/things", headers=platform_bearer)
    assert (answer.status_code, answer.json()["code"]) == (400, "tenant_required")
    named = {**platform_bearer, "Innkeeper-Tenant": ids.encode("ten", tenant)}
    assert client.get("/things", headers=named).json()["tenant"] == str(tenant)


@pytest.mark.parametrize("name", ["ten_nonsense", "ten_01m8hje9ayehtvddpjnppnrmwy", "x"])
def test_tenant_route__unknown_named_tenant__404(client, platform_bearer, name):
    answer = client.get("/things", headers={**platform_bearer, "Innkeeper-Tenant": name})
    assert (answer.status_code, answer.json()["code"]) == (404, "tenant_not_found")


def test_operator_route__platform_key__runs_as_staff_across_tenants(client, platform_bearer):
    assert client.get("/operator", headers=platform_bearer).json() == {
        "alias": "staff",
        "tenant": None,
    }


def test_operator_route__tenant_key__403_whatever_it_may(client, tenant):
    powerful = {"Authorization": f"Bearer {make_key(tenant, permissions=['*:*']).text}"}
    answer = client.get("/operator", headers=powerful)
    assert (answer.status_code, answer.json()["code"]) == (403, "operator_only")


@pytest.mark.parametrize("url", ["/things", "/hot/things"])
def test_credential__missing_or_wrong__401_with_challenge(client, url):
    for headers, code in [
        ({}, "missing_credential"),
        ({"Authorization": "Basic x"}, "missing_credential"),
        ({"Authorization": "Bearer nonsense"}, "invalid_key"),
    ]:
        answer = client.get(url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("url", ["/things", "/hot/things"])
def test_permission__lacking__403_names_it_and_counts_nothing(client, url):
    tenant = make_tenant(daily=1)
    poor = {"Authorization": f"Bearer {make_key(tenant, permissions=['a:b']).text}"}
    for _ in range(2):
        answer = client.get(url, headers=poor)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_permissions")
        assert answer.json()["extensions"] == {"required": "meters:read"}


@pytest.mark.parametrize("url", ["/things", "/hot/things"])
def test_tenant__suspended__403_from_the_next_request(client, url, tenant, bearer):
    assert client.get(url, headers=bearer).status_code == 200
    set_tenant_status(tenant, "suspended")
    answer = client.get(url, headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_suspended")


@pytest.mark.parametrize("url", ["/things", "/hot/things"])
def test_quota__used_up__429_with_headers(client, url):
    bearer = {"Authorization": f"Bearer {make_key(make_tenant(daily=1)).text}"}
    first = client.get(url, headers=bearer)
    assert first.headers["X-RateLimit-Remaining"] == "0"
    refused = client.get(url, headers=bearer)
    body = refused.json()
    assert (refused.status_code, body["code"]) == (429, "quota_exceeded")
    assert body["extensions"]["violated-policies"] == ["daily", "tenant_daily"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert refused.headers["RateLimit"].startswith('"daily";r=0;t=')
    assert refused.headers["Cache-Control"] == "no-store"


def test_quota__openmeter_client__is_not_told_to_sleep_for_hours(client):
    bearer = {
        "Authorization": f"Bearer {make_key(make_tenant(daily=0)).text}",
        "User-Agent": "python-openmeter/0.0.0 Python/3.11",
    }
    refused = client.get("/things", headers=bearer)
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers or int(refused.headers["Retry-After"]) <= 5
