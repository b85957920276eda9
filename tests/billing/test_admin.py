"""Billing on the operator's site: every page opens, actions go through services."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from billing.entitlements.models import Override
from billing.subscriptions.queries import plan_keys
from kernel.ids import new_id
from tests.billing.house import call, make_house, staff

pytestmark = pytest.mark.usefixtures("database")

MODELS = (
    "feature",
    "meter",
    "override",
    "plan",
    "planversion",
    "revenuetier",
    "subject",
    "subscription",
    "usageevent",
)


@pytest.fixture(scope="module")
def site(session_database):
    session_database.ensure()
    with staff():
        name = f"s-{new_id().hex}"
        user = User.objects.create_superuser(email=f"{name}@example.test", password=name)
    client = Client(headers={"host": "localhost"})
    with staff():
        client.force_login(user)
    return client


def page(model, name="changelist", **kwargs):
    return reverse(f"admin:billing_{model}_{name}", **kwargs)


@pytest.mark.parametrize("model", MODELS)
def test_list__every_model__opens_and_can_be_searched(site, model):
    assert site.get(page(model)).status_code == 200
    assert site.get(page(model), {"q": "seats"}).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_list__every_model__offers_no_way_past_the_services(site, model):
    body = site.get(page(model)).content.decode()

    assert "delete_selected" not in body
    assert (page(model, "add") in body) is (model == "override")


def test_plan_version__opened__shows_what_it_grants(site):
    with staff():
        house = make_house("basic")
    listing = site.get(page("planversion"), {"q": "basic"}).content.decode()
    link = re.search(r'href="(/admin/billing/planversion/[^/]+/change/)', listing)[1]

    body = site.get(link).content.decode()

    assert "export_formats" in body
    assert "processed_units" in body
    assert house.slug not in body


def test_subscription__moved_to_another_plan__is_assigned_and_audited(site):
    house = make_house("basic")
    listing = page("subscription") + f"?q={house.public_id}"
    row = re.search(r'name="_selected_action" value="([^"]+)"', site.get(listing).content.decode())

    chosen = {"action": "move_to_enterprise", "_selected_action": row[1]}
    asked = site.post(listing, chosen)
    done = site.post(listing, {**chosen, "confirmed": "yes", "reason": "sales"})

    assert asked.status_code == 200
    assert done.status_code == 302
    with staff():
        assert plan_keys([house.id]) == {house.id: "enterprise"}
        entry = Event.objects.filter(tenant_id=house.id, action="subscription.changed")
        entry = entry.order_by("id").last()
        assert b'"plan":"enterprise"' in bytes(entry.leaf)


def given(house, **facts):
    return {
        "tenant": house.public_id,
        "mode": "set",
        "value": "true",
        "starts_at_0": "2026-01-01",
        "starts_at_1": "00:00:00",
        "expires_at_0": "",
        "expires_at_1": "",
        "reason": "a promise",
        "ticket": "",
        **facts,
    }


def feature_id(site, key):
    listing = site.get(page("feature"), {"q": key}).content.decode()
    return re.search(r"/admin/billing/feature/([^/]+)/change/", listing)[1]


def test_override__added_through_the_form__is_granted_by_the_service(site):
    house = make_house("basic")
    sso = feature_id(site, "sso")

    answer = site.post(page("override", "add"), given(house, feature=sso))

    assert answer.status_code == 302, answer.content
    path = f"v1/customers/{house.slug}/entitlements/sso/value"
    assert call(house.key, "GET", path)["hasAccess"] is True
    with staff():
        assert Event.objects.filter(tenant_id=house.id, action="override.granted").count() == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"tenant": "acme"},
        {"value": '"yes"'},
        {"reason": ""},
        {"expires_at_0": "2025-01-01", "expires_at_1": "00:00:00"},
        {"mode": "add"},
    ],
)
def test_override__form_with_a_fault__says_so_and_grants_nothing(site, facts):
    house = make_house("basic")
    sso = feature_id(site, "sso")

    answer = site.post(page("override", "add"), given(house, **{"feature": sso, **facts}))

    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    with staff():
        assert not Override.objects.filter(tenant_id=house.id).exists()


def test_override__overlapping_one__is_refused_by_the_form(site):
    house = make_house("basic")
    sso = feature_id(site, "sso")
    site.post(page("override", "add"), given(house, feature=sso))

    answer = site.post(page("override", "add"), given(house, feature=sso))

    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_override__revoked_by_action__ends(site):
    house = make_house("basic")
    sso = feature_id(site, "sso")
    site.post(page("override", "add"), given(house, feature=sso))
    with staff():
        override = Override.objects.get(tenant_id=house.id)

    chosen = {"action": "revoke", "_selected_action": str(override.pk)}
    site.post(page("override"), {**chosen, "confirmed": "yes", "reason": "over"})

    path = f"v1/customers/{house.slug}/entitlements/sso/value"
    assert call(house.key, "GET", path)["hasAccess"] is False
