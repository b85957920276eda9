"""The operator's API with a staff session: CSRF, groups, the actor in the audit log."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from accounts.services import staff
from audit.models import Event
from kernel.ids import decode, encode, new_id
from tests.guests import fresh, new_guest, operator_key, system

PASSWORD = "correct horse battery"
TOKEN = "t" * 32


def person(*permissions: str, superuser: bool = False) -> User:
    """A member of staff in a group of these permissions."""
    email = f"{new_id().hex}@staff.example"
    with system():
        if superuser:
            return staff.create_superuser(email, PASSWORD)
        group = fresh("group")
        staff.set_group(group, permissions)
        return staff.appoint(email, PASSWORD, [group])


def browser(user: User) -> Client:
    """A browser in which somebody is signed in, and which checks CSRF as production does."""
    found = Client(enforce_csrf_checks=True)
    with system():
        found.force_login(user)
    found.cookies["csrftoken"] = TOKEN
    return found


def send(
    who: Client, method: str, path: str, body: Any = None, *, token: str = TOKEN, **headers: str
) -> HttpResponse:
    sent = {"X-CSRFToken": token, **headers} if token else headers
    data = b"" if body is None else orjson.dumps(body)
    return who.generic(
        method, f"/api/v1/{path}", data, content_type="application/json", headers=sent
    )


def new_tenant() -> dict[str, str]:
    slug = fresh()
    return {"name": slug, "slug": slug, "plan": "basic"}


def test_session__superuser__does_everything_and_is_the_actor():
    user = person(superuser=True)
    made = send(browser(user), "POST", "admin/tenants", new_tenant())
    assert made.status_code == 201
    tenant: UUID = decode("ten", made.json()["id"])
    with system():
        (entry,) = Event.objects.filter(tenant_id=tenant, action="tenant.created")
    assert (entry.actor_type, entry.actor_id) == ("staff", str(user.id))


def test_session__key_that_staff_issued__names_the_person_as_creator():
    user, guest = person("keys:create"), new_guest()
    asked = {"name": "by hand", "permissions": ["keys:create"]}
    path = f"admin/tenants/{guest.public_id}/keys"
    made = send(browser(user), "POST", path, asked)
    assert made.status_code == 201
    assert made.json()["created_by"] == encode("usr", user.id)
    # Nobody hands on what they lack.
    beyond = send(browser(user), "POST", path, {"name": "more", "permissions": ["*:*"]})
    assert (beyond.status_code, beyond.json()["code"]) == (403, "permission_ceiling")


@pytest.mark.parametrize("token", ["", "u" * 32])
def test_session__change_without_the_token__is_refused_and_nothing_changes(token):
    who, asked = browser(person(superuser=True)), new_tenant()
    answer = send(who, "POST", "admin/tenants", asked, token=token)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert answer["Content-Type"] == "application/problem+json"
    listed = send(who, "GET", f"admin/tenants?slug={asked['slug']}", token=token)
    assert (listed.status_code, listed.json()["items"]) == (200, [])


@pytest.mark.parametrize(("origin", "status"), [("", 201), ("https://evil.example", 403)])
def test_session__change_from_an_origin__only_this_deployments_passes(settings, origin, status):
    # As behind a proxy that ends TLS: the browser's origin is not what Django sees.
    who = browser(person(superuser=True))
    named = origin or settings.INNKEEPER_PUBLIC_URL
    assert send(who, "POST", "admin/tenants", new_tenant(), Origin=named).status_code == status


def test_session__group_is_changed__holds_from_the_next_request_on():
    user = person()
    who = browser(user)
    assert send(who, "GET", "admin/tenants").json()["code"] == "insufficient_permissions"
    with system():
        staff.set_group(user.groups.get().name, ["tenants:read"])
    assert send(who, "GET", "admin/tenants").status_code == 200
    with system():
        staff.set_group(user.groups.get().name, [])
    refused = send(who, "GET", "admin/tenants")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_permissions")
    with system():
        denied = Event.objects.filter(action="access.denied", actor_id=str(user.id)).count()
    assert denied == 2


@pytest.mark.parametrize(
    ("field", "expected"),
    [("is_staff", (403, "operator_only")), ("is_active", (401, "session_ended"))],
)
def test_session__person_is_no_staff_any_more__is_refused_at_once(field, expected):
    user = person("tenants:read")
    who = browser(user)
    assert send(who, "GET", "admin/tenants").status_code == 200
    with system():
        setattr(user, field, False)
        user.save(update_fields=[field])
    answer = send(who, "GET", "admin/tenants")
    assert (answer.status_code, answer.json()["code"]) == expected


def test_session__password_changed_or_signed_out__has_ended():
    user = person(superuser=True)
    who = browser(user)
    with system():
        user.set_password("another horse battery")
        user.save(update_fields=["password"])
    answer = send(who, "GET", "admin/tenants")
    assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")


def test_session__beside_a_key__the_key_decides():
    who = browser(person(superuser=True))
    key = operator_key("plans:read")
    answer = send(who, "GET", "admin/tenants", Authorization=f"Bearer {key}")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_permissions")
    # With a key no token is asked for: a browser never sends one by itself.
    made = send(
        who, "POST", "admin/tenants", new_tenant(), token="",
        Authorization=f"Bearer {operator_key()}",
    )  # fmt: skip
    assert made.status_code == 201


def test_session__repeated_with_an_idempotency_key__replays_for_this_person_only():
    first, second = browser(person(superuser=True)), browser(person(superuser=True))
    asked, key = new_tenant(), {"Idempotency-Key": fresh("once")}
    made = send(first, "POST", "admin/tenants", asked, **key)
    again = send(first, "POST", "admin/tenants", asked, **key)
    assert (again.status_code, again.json()["id"]) == (201, made.json()["id"])
    assert again["Idempotent-Replayed"] == "true"
    assert send(second, "POST", "admin/tenants", asked, **key).json()["code"] == "slug_taken"


def test_set_group__repeated__is_recorded_once():
    name = fresh("group")
    with system():
        for _ in range(2):
            staff.set_group(name, ["tenants:read"])
        entries = Event.objects.filter(action="staff.group_changed", target_id=name).count()
    assert entries == 1
