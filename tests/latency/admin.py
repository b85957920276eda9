"""The staff's pages: one case for each page of each model that the admin shows, made from the map.

What a page answers follows from what the admin permits: a form that may not be filled in is
refused. A form is posted as it is shown, without the fields that it asks for: the page is then
shown again with its complaints, which costs what a valid one costs but leaves nothing behind.
"""

from __future__ import annotations

import re

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db import models
from django.test import RequestFactory
from django.urls import get_resolver

from bench.latency.rounds import Prepare
from bench.latency.routes import Route, routes
from kernel import db, tenancy
from tests.latency.cases import Case
from tests.latency.world import PASSWORD, World, form

PREFIX = "/admin/"
STAFF = "class.staff"
SEEN = (200, 302, 403)
OBJECT, APP = re.compile(r"<\w+:\w+>"), "(?P<app_label>"
NOBODY = "00000000-0000-0000-0000-000000000000"


def registered() -> dict[str, ModelAdmin[models.Model]]:
    """Every model's admin by the beginning of its routes."""
    return {
        f"{PREFIX}{model._meta.app_label}/{model._meta.model_name}/": made
        for model, made in admin.site._registry.items()
    }


def of_model(route: Route, page: str, model_admin: ModelAdmin[models.Model]) -> Case:
    """A page of one model; of its newest object, where the page is about one."""

    def make(world: World) -> Prepare:
        path = route.pattern
        if OBJECT.search(path):
            path = OBJECT.sub(newest(world, model_admin), path)
        fields = {"post": "yes"} if route.method == "POST" and "delete" in page else {}
        if route.method == "GET":
            call = form(path, world.staff_cookies)
        else:
            call = form(path, world.staff_cookies, fields | {"unknown": "1"}, route.method)
        return lambda number: call

    return Case(make, STAFF, SEEN)


def newest(world: World, model_admin: ModelAdmin[models.Model]) -> str:
    """The key of a model's newest object, as the admin's paths write it."""
    assert world.tenant.id
    with db.use_alias("staff"), tenancy.across_tenants():
        request = RequestFactory().get(PREFIX)
        request.user = world.staff
        found = model_admin.get_queryset(request).order_by("-pk").first()
    return str(found.pk).replace("_", "_5F") if found is not None else NOBODY


def page(path: str, budget: str = STAFF, statuses: tuple[int, ...] = (200,)) -> Case:
    """A page of the site itself."""

    def make(world: World) -> Prepare:
        call = form(path, world.staff_cookies)
        return lambda number: call

    return Case(make, budget, statuses)


def sign_in(world: World) -> Prepare:
    """The right password; the hash is what it costs."""
    fields = {"username": world.staff.email, "password": PASSWORD, "next": PREFIX}
    return lambda number: form(f"{PREFIX}login/", {"csrftoken": world.csrf}, fields)


def sign_out(world: World) -> Prepare:
    """A session of its own each time."""
    return lambda number: form(f"{PREFIX}logout/", world.sign_in(), {})


def change_password(world: World) -> Prepare:
    """A wrong old password: hashed and refused."""
    fields = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    return lambda number: form(f"{PREFIX}password_change/", world.staff_cookies, fields)


SITE: dict[str, Case] = {
    "GET index": page(PREFIX),
    "GET login": page(f"{PREFIX}login/", statuses=(200, 302)),
    "POST login": Case(sign_in, "class.login", 302),
    "POST logout": Case(sign_out, STAFF, (200, 302)),
    "GET password_change": page(f"{PREFIX}password_change/"),
    "POST password_change": Case(change_password, "class.login"),
    "GET password_change_done": page(f"{PREFIX}password_change/done/"),
    "GET autocomplete": page(f"{PREFIX}autocomplete/", statuses=(200, 403)),
    "GET jsi18n": page(f"{PREFIX}jsi18n/"),
    "GET view_on_site": page(f"{PREFIX}r/1/1/", statuses=(302, 404)),
}


def case_for(route: Route, models_by_path: dict[str, ModelAdmin[models.Model]]) -> Case | None:
    """The case of a staff page, or None for a page that this module does not know."""
    site = SITE.get(f"{route.method} {route.name}")
    if site is not None:
        return site
    for beginning, model_admin in models_by_path.items():
        if route.pattern.startswith(beginning):
            return of_model(route, route.pattern.removeprefix(beginning), model_admin)
    if APP in route.pattern:
        label = next(iter(models_by_path)).split("/")[2]
        return page(f"{PREFIX}{label}/")
    if "(?P<url>" in route.pattern:
        return page(f"{PREFIX}nowhere/", statuses=(404,))
    return None


def cases() -> dict[str, Case]:
    """All staff pages of the URL map."""
    known = registered()
    found = {
        str(route): case_for(route, known)
        for route in routes(get_resolver().url_patterns)
        if route.pattern.startswith(PREFIX)
    }
    return {name: case for name, case in found.items() if case is not None}


CASES: dict[str, Case] = cases()
