"""Finding every route and method of a URL map."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views import View
from django.views.decorators.http import require_http_methods, require_POST

from bench.latency.routes import methods, routes


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Declared:
    access = {"POST": object(), "GET": object()}
    get = post = delete = None


class Defined(View):
    def put(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


def declared(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


declared.cls = Declared  # type: ignore[attr-defined]


def page(name: str) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    view.model_admin = SimpleNamespace()  # type: ignore[attr-defined]
    return path(f"{name}/", view, name=f"app_thing_{name}")


def test_routes__nested_patterns__are_written_from_the_root() -> None:
    inner = [path("things/<str:key>", declared), re_path(r"^old/$", plain)]
    found = routes([path("api/", include((inner, "inner"))), path("", Defined.as_view())])
    assert [str(route) for route in found] == [
        "GET /api/things/<str:key>",
        "POST /api/things/<str:key>",
        "GET /api/old/",
        "PUT /",
    ]


def test_routes__same_pattern_twice__is_listed_once() -> None:
    assert len(routes([path("a", plain), path("a", plain)])) == 1


def test_methods__function_that_lists_its_methods__is_believed() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    view.allowed_methods = {"POST", "GET"}  # type: ignore[attr-defined]
    assert methods(view, "") == ["GET", "POST"]


def test_methods__decorated_function__answers_what_the_decorator_lets_through() -> None:
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    def wrapped(request: HttpRequest) -> HttpResponse:
        return page(request)

    functools.update_wrapper(wrapped, require_POST(page))
    wrapped.model_admin = SimpleNamespace()  # type: ignore[attr-defined]
    assert methods(wrapped, "app_thing_verify") == ["POST"]
    assert methods(require_http_methods(["GET", "PUT"])(page), "") == ["GET", "PUT"]


def test_methods__admin_logout__answers_post_only() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    view.admin_site = SimpleNamespace()  # type: ignore[attr-defined]
    assert methods(view, "logout") == ["POST"]


def test_methods__admin_pages__answer_post_only_where_they_hold_a_form() -> None:
    found = routes([page("changelist"), page("history")])
    assert [str(route) for route in found] == [
        "GET /changelist/",
        "POST /changelist/",
        "GET /history/",
    ]
