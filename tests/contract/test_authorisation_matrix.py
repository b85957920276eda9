"""Every route x method x principal, expected from the route's own declaration.

A new route is in the matrix without anybody adding it; an undeclared one fails here.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from accounts.roles import BUILT_IN
from accounts.services import keys, staff
from kernel import ids
from kernel.authz import Access, Scope, permits, registry
from kernel.http.routes import walk
from tenants import services
from tests.contract.url_map import VERBS, api_routes, cases, filled
from tests.guests import (
    JSON,
    Answer,
    call,
    client,
    fresh,
    inside,
    new_guest,
    new_key,
    operator_key,
    system,
)

ALL = tuple(permission.name for permission in registry.all())
CASES = [
    pytest.param(template, method, access, id=f"{method} /{template}")
    for template, method, access in cases()
]
GUARDED = [case for case in CASES if case.values[2].scope is not Scope.PUBLIC]


@dataclass(frozen=True)
class Outcome:
    """What a principal gets: a status and one of the codes, or being let in (no 401, no 403)."""

    status: int | None = None
    codes: tuple[str, ...] = ()


BODIES = {"api/v1/keys/verify": {"key": "nonsense"}}
"""Bodies of routes that read theirs before they ask the gate, in one call, about two keys."""
LET_IN = Outcome()
LACKS = Outcome(403, ("insufficient_permissions",))
OPERATORS = Outcome(403, ("operator_only",))
TOKEN = "t" * 32


@cache
def guest():
    return new_guest("enterprise")


@cache
def tenant_key(*permissions: str) -> str:
    return new_key(guest().id, *permissions).text


@cache
def platform_key(*permissions: str) -> str:
    return operator_key(*permissions)


@cache
def revoked_key() -> str:
    issued = new_key(guest().id)
    with inside(guest().id):
        keys.revoke(issued.key.id)
    return issued.text


@cache
def expired_key() -> str:
    issued = new_key(guest().id, expires_at=timezone.now() + timedelta(milliseconds=50))
    while timezone.now() < issued.key.expires_at:
        pass
    return issued.text


@cache
def key_of(status: str) -> str:
    other = new_guest()
    with system():
        getattr(services, status)(other.id)
    return other.key


def all_but(permission: str) -> tuple[str, ...]:
    return tuple(name for name in ALL if name != permission)


def ask(template: str, method: str, key: str | None, **headers: str) -> Answer:
    body = None if method in ("GET", "DELETE") else BODIES.get(template, {})
    return call(method, filled(template), key, body, **headers)


def assert_outcome(answer: Answer, expected: Outcome) -> None:
    if expected == LET_IN:
        assert answer.status not in (401, 403), answer.content
        assert not (answer.status == 404 and answer.code == ""), "the URL map does not know it"
    else:
        assert answer.status == expected.status, answer.content
        assert answer.code in expected.codes


def with_tenant_key(access: Access, *, covered: bool) -> Outcome:
    if access.scope is Scope.OPERATOR:
        return OPERATORS
    return LET_IN if covered else LACKS


REFUSED = {
    "anonymous": (lambda: None, Outcome(401, ("missing_credential",))),
    "nonsense": (lambda: "ikt_live_nonsense", Outcome(401, ("invalid_key",))),
    "revoked": (revoked_key, Outcome(401, ("key_disabled",))),
    "expired": (expired_key, Outcome(401, ("key_expired",))),
    "suspended": (lambda: key_of("suspend"), Outcome(403, ("tenant_suspended",))),
    "closed": (lambda: key_of("close"), Outcome(404, ("tenant_not_found", "customer_not_found"))),
    "blocked": (
        lambda: new_key(guest().id, cidrs=("192.0.2.0/24",)).text,
        Outcome(403, ("address_not_allowed",)),
    ),
}


def test_url_map__every_route__declares_who_may_call_it():
    assert [route.template for route in api_routes() if route.access is None] == []


def test_url_map__every_permission__is_registered():
    asked = {access.permission for _, _, access in cases() if access.scope is not Scope.PUBLIC}

    assert sorted(asked - set(ALL)) == []


@pytest.mark.parametrize("principal", REFUSED)
@pytest.mark.parametrize(("template", "method", "access"), GUARDED)
def test_refused__whatever_the_route__is_refused(template, method, access, principal):
    make, expected = REFUSED[principal]

    assert_outcome(ask(template, method, make()), expected)


@pytest.mark.parametrize(("template", "method", "access"), GUARDED)
def test_tenant_key__exactly_the_permission__is_let_in(template, method, access):
    answer = ask(template, method, tenant_key(access.permission))

    assert_outcome(answer, with_tenant_key(access, covered=True))


@pytest.mark.parametrize(("template", "method", "access"), GUARDED)
def test_tenant_key__all_but_the_permission__is_refused(template, method, access):
    answer = ask(template, method, tenant_key(*all_but(access.permission)))

    assert_outcome(answer, with_tenant_key(access, covered=False))


@pytest.mark.parametrize("role", BUILT_IN)
@pytest.mark.parametrize(("template", "method", "access"), GUARDED)
def test_tenant_key__permissions_of_a_role__as_the_role_says(template, method, access, role):
    granted = BUILT_IN[role].permissions

    answer = ask(template, method, tenant_key(*granted))

    covered = permits(granted, access.permission)
    assert_outcome(answer, with_tenant_key(access, covered=covered))


@pytest.mark.parametrize(("template", "method", "access"), GUARDED)
def test_platform_key__exactly_the_permission__is_let_in(template, method, access):
    named = {"innkeeper_tenant": guest().public_id} if access.scope is Scope.TENANT else {}

    answer = ask(template, method, platform_key(access.permission), **named)

    assert_outcome(answer, LET_IN)


@pytest.mark.parametrize(("template", "method", "access"), GUARDED)
def test_platform_key__all_but_the_permission__is_refused(template, method, access):
    answer = ask(
        template,
        method,
        platform_key(*all_but(access.permission)),
        innkeeper_tenant=guest().public_id,
    )

    assert_outcome(answer, LACKS)


TENANTS = [case for case in GUARDED if case.values[2].scope is Scope.TENANT]


@pytest.mark.parametrize(("template", "method", "access"), TENANTS)
def test_platform_key__names_no_tenant__is_asked_for_one(template, method, access):
    answer = ask(template, method, platform_key("*:*"))

    assert (answer.status, answer.code) == (400, "tenant_required")


@pytest.mark.parametrize(("template", "method", "access"), TENANTS)
def test_platform_key__names_an_unknown_tenant__is_404(template, method, access):
    unknown = ids.encode("ten", ids.new_id())

    answer = ask(template, method, platform_key("*:*"), innkeeper_tenant=unknown)

    assert (answer.status, answer.code) == (404, "tenant_not_found")


@pytest.mark.parametrize(("template", "method", "access"), TENANTS)
def test_tenant_key__names_another_tenant__is_404(template, method, access):
    other = new_guest()

    answer = ask(template, method, tenant_key("*:*"), innkeeper_tenant=other.public_id)

    assert (answer.status, answer.code) == (404, "tenant_not_found")


@pytest.mark.parametrize(
    "template", [route.template for route in api_routes() if route.endpoint is not None]
)
def test_route__methods_that_it_does_not_declare__are_405(template):
    declared = {method for where, method, _ in cases() if where == template}

    answers = {
        verb: ask(template, verb, tenant_key("*:*")).status
        for verb in VERBS
        if verb not in declared
    }

    assert answers == dict.fromkeys(answers, 405)


OPEN_TO_ALL = ("admin/login/",)
STAFF = sorted({route.template for route in walk() if route.staff} - set(OPEN_TO_ALL))


def staff_page(template: str) -> str:
    """Fill a page of Django's admin, whose last pattern is a regular expression."""
    path = template.split("(?P<", maxsplit=1)[0] if "(?P<" in template else template
    return "/" + path.replace("<path:object_id>", str(ids.new_id())).rstrip("$")


@cache
def signed_in(*, is_staff: bool) -> Client:
    """Give a browser of a person: a member of staff without any right, or nobody's."""
    with system():
        user = staff.create_superuser(f"{ids.new_id().hex}@staff.example", "correct horse battery")
        user.is_staff, user.is_superuser = is_staff, False
        user.save(update_fields=["is_staff", "is_superuser"])
        browser = Client(raise_request_exception=True)
        browser.force_login(user)
    return browser


@cache
def session_of(*permissions: str) -> Client:
    """Give a browser of a member of staff whose one group has exactly these permissions."""
    with system():
        name = fresh("group")
        staff.set_group(name, permissions)
        user = staff.appoint(f"{name}@staff.example", "correct horse battery", [name])
        browser = Client(enforce_csrf_checks=True, raise_request_exception=True)
        browser.force_login(user)
    browser.cookies["csrftoken"] = TOKEN
    return browser


def ask_signed_in(browser: Client, template: str, method: str, token: str = TOKEN) -> Answer:
    body = b"" if method in ("GET", "DELETE") else orjson.dumps(BODIES.get(template, {}))
    headers = {"X-CSRFToken": token} if token else {}
    response = browser.generic(
        method, filled(template), body, content_type="application/json", headers=headers
    )
    told = response.headers.get("Content-Type", "")
    content = b"".join(response) if response.streaming else response.content
    decoded = orjson.loads(content) if content and told in JSON else None
    return Answer(response.status_code, decoded, response.headers, content)


OPERATORS_ROUTES = [case for case in GUARDED if case.values[2].scope is Scope.OPERATOR]
OTHER_ROUTES = [case for case in GUARDED if case.values[2].scope is not Scope.OPERATOR]
CHANGES = [case for case in OPERATORS_ROUTES if case.values[1] != "GET"]


@pytest.mark.parametrize(("template", "method", "access"), OPERATORS_ROUTES)
def test_staff_session__exactly_the_permission__is_let_in(template, method, access):
    answer = ask_signed_in(session_of(access.permission), template, method)

    assert_outcome(answer, LET_IN)


@pytest.mark.parametrize(("template", "method", "access"), OPERATORS_ROUTES)
def test_staff_session__all_but_the_permission__is_refused(template, method, access):
    browser = session_of(*all_but(access.permission))

    assert_outcome(ask_signed_in(browser, template, method), LACKS)


@pytest.mark.parametrize(("template", "method", "access"), OPERATORS_ROUTES)
def test_staff_session__staff_without_a_group__is_refused(template, method, access):
    assert_outcome(ask_signed_in(signed_in(is_staff=True), template, method), LACKS)


@pytest.mark.parametrize(("template", "method", "access"), OPERATORS_ROUTES)
def test_staff_session__person_who_is_no_staff__is_refused(template, method, access):
    assert_outcome(ask_signed_in(signed_in(is_staff=False), template, method), OPERATORS)


@pytest.mark.parametrize(("template", "method", "access"), CHANGES)
def test_staff_session__change_without_csrf_token__is_refused(template, method, access):
    answer = ask_signed_in(session_of("*:*"), template, method, token="")

    assert_outcome(answer, Outcome(403, ("csrf_failed",)))


@pytest.mark.parametrize(("template", "method", "access"), OTHER_ROUTES)
def test_staff_session__route_of_tenants__opens_nothing(template, method, access):
    answer = ask_signed_in(session_of("*:*"), template, method)

    assert_outcome(answer, Outcome(401, ("missing_credential",)))


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("template", STAFF)
def test_staff_page__anonymous__is_sent_to_sign_in(template, method):
    answer = getattr(client(), method)(staff_page(template))

    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/") or template == "admin/logout/"


@pytest.mark.parametrize("template", STAFF)
def test_staff_page__person_who_is_no_staff__is_sent_to_sign_in(template):
    answer = signed_in(is_staff=False).get(staff_page(template))

    assert answer.status_code == 302


@pytest.mark.parametrize("template", [path for path in STAFF if "/<path:" in path])
def test_staff_page__staff_without_the_right__shows_no_object(template):
    answer = signed_in(is_staff=True).get(staff_page(template))

    assert answer.status_code in (302, 403, 404)
