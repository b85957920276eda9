"""The operator's site without a browser: what its pages refuse, find and do."""

import re

import pytest
from django.test import Client

from accounts.models import ApiKey
from accounts.services import members, platform_keys, staff
from accounts.services.issuing import NewKey
from audit.models import Event
from kernel.gate.keys import KEY_EXPRESSION
from kernel.ids import encode, new_id
from tests.guests import call, inside, new_guest, system

MODELS = (
    "tenants/tenant",
    "accounts/apikey",
    "accounts/platformkey",
    "accounts/membership",
    "accounts/user",
)


@pytest.fixture(scope="module")
def browser() -> Client:
    with system():
        user = staff.create_superuser(f"{new_id().hex}@staff.example", "correct horse battery")
        client = Client()
        client.force_login(user)
    return client


@pytest.fixture
def guest():
    return new_guest()


@pytest.mark.parametrize("model", MODELS)
def test_forms__add_change_delete__are_refused_to_superusers_too(browser, guest, model):
    ids = {"tenants/tenant": guest.id, "accounts/apikey": guest.key_id}
    one = ids.get(model, new_id())

    assert browser.post(f"/admin/{model}/add/", {}).status_code == 403
    if model in ids:
        assert browser.post(f"/admin/{model}/{one}/delete/", {"post": "yes"}).status_code == 403
        assert browser.post(f"/admin/{model}/{one}/change/", {"name": "x"}).status_code == 403
        assert b"_save" not in browser.get(f"/admin/{model}/{one}/change/").content


def test_search__by_public_ids__finds_the_object_and_what_its_tenant_owns(browser, guest):
    with inside(guest.id):
        member = members.add(email=f"{new_id().hex}@example.com", role="member")
    other = new_guest()

    tenants = browser.get(f"/admin/tenants/tenant/?q={guest.public_id}").content.decode()
    keys = browser.get(f"/admin/accounts/apikey/?q={guest.public_id}").content.decode()
    people = browser.get(f"/admin/accounts/membership/?q={member.public_id}").content.decode()

    assert guest.slug in tenants
    assert other.slug not in tenants
    assert str(guest.key_id) in keys
    assert str(other.key_id) not in keys
    assert member.email in people


def test_action__on_what_is_no_id__is_the_askers_fault(browser):
    answer = browser.post(
        "/admin/accounts/apikey/", {"action": "revoke", "_selected_action": ["no-id"]}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


def test_action__unconfirmed__only_asks(browser, guest):
    answer = browser.post(
        "/admin/tenants/tenant/", {"action": "suspend", "_selected_action": [str(guest.id)]}
    )

    assert answer.status_code == 200
    assert b"Reason, for the audit log" in answer.content
    assert call("GET", "me", guest.key).status == 200


def test_action__confirmed__acts_through_the_service_as_the_person(browser, guest):
    browser.post(
        "/admin/accounts/apikey/",
        {
            "action": "revoke",
            "_selected_action": [str(guest.key_id)],
            "confirmed": "yes",
            "reason": "leaked",
        },
    )

    shown = encode("key", guest.key_id)
    with system():
        entry = Event.objects.get(action="key.revoked", target_id=shown)
        key = ApiKey.objects.get(id=guest.key_id)
        person = browser.session["_auth_user_id"]
    assert (entry.actor_type, entry.actor_id) == ("staff", person)
    assert key.revoked_at is not None
    assert b"leaked" not in bytes(entry.leaf)


def test_rotate__confirmed__shows_the_new_secret_on_that_page_alone(browser, guest):
    chosen = {"action": "rotate", "_selected_action": [str(guest.key_id)], "confirmed": "yes"}

    page = browser.post("/admin/accounts/apikey/", chosen, headers={"Accept-Encoding": "gzip"})

    text = re.search(rf"<code>({KEY_EXPRESSION})</code>", page.content.decode())[1]
    assert "no-store" in page["Cache-Control"]
    assert "Content-Encoding" not in page  # a secret is never compressed
    assert call("GET", "me", text).body["tenant"] == guest.public_id
    listed = browser.get("/admin/accounts/apikey/").content.decode()
    assert "1 tenant key rotated." in page.content.decode() + listed
    assert text.rpartition("_")[2] not in listed


def test_rotate__platform_key__shows_its_successor(browser):
    with system():
        old = platform_keys.create(NewKey(name="operator", permissions=("keys:verify",)))
    chosen = {"action": "rotate", "_selected_action": [str(old.key.id)], "confirmed": "yes"}

    page = browser.post("/admin/accounts/platformkey/", chosen).content.decode()

    text = re.search(rf"<code>({KEY_EXPRESSION})</code>", page)[0]
    assert text.startswith("<code>ikp_live_")


def test_page__always__carries_a_strict_policy_and_no_secret(browser, guest):
    answer = browser.get(f"/admin/accounts/apikey/{guest.key_id}/change/")

    policy = answer["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    assert policy.startswith("default-src 'none'")
    assert guest.key.rsplit("_", 1)[1] not in answer.content.decode()


def test_sign_in__post_without_token__is_refused():
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post("/admin/login/", {"username": "a@b.example", "password": "x"})

    assert answer.status_code == 403


def test_sign_in__tries_beyond_the_limit_of_the_address__are_refused_with_the_right_password_too(
    settings,
):
    settings.INNKEEPER_FAILED_AUTH_PER_MINUTE = 3
    email, password = f"{new_id().hex}@staff.example", "correct horse battery"
    with system():
        staff.create_superuser(email, password)
    client = Client(REMOTE_ADDR="127.0.77.1")

    wrong = [sign_in(client, email, "guess").status_code for _ in range(3)]
    refused = sign_in(client, email, password)

    assert wrong == [200] * 3  # the form again
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_failures")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert sign_in(Client(REMOTE_ADDR="127.0.77.2"), email, password).status_code == 302


def sign_in(client, email, password):
    return client.post("/admin/login/?next=/admin/", {"username": email, "password": password})
