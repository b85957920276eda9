"""Every route and method that the URL map answers, found by walking the resolver."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver

VERBS = ("get", "post", "put", "patch", "delete")
# Admin pages that hold a form: these also answer POST. Matched against the end of the URL's name.
_ADMIN_FORMS = ("_add", "_change", "_delete", "_changelist", "login", "password_change")
_ADMIN_POST_ONLY = ("logout",)


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One pattern of the URL map, written from the root, and one method that it answers."""

    pattern: str
    method: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> list[Route]:
    """All routes below the patterns, in the order of the URL map, without duplicates."""
    return list(dict.fromkeys(_walk(patterns, prefix)))


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for entry in patterns:
        text = prefix + str(entry.pattern).lstrip("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, text)
        else:
            for method in methods(entry.callback, entry.name or ""):
                yield Route(text, method, entry.name or "")


def methods(view: Callable[..., Any], name: str) -> list[str]:
    """The methods that a view answers, HEAD and OPTIONS apart.

    An Endpoint declares them; another class-based view defines them; a function is asked what
    `require_http_methods` or its attribute `allowed_methods` lets through. A page of Django's admin
    answers GET, and POST where it holds a form. Every other function is taken to answer GET.
    """
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is not None:
        declared = getattr(kind, "access", None)
        if declared:
            return sorted(declared)
        return sorted(verb.upper() for verb in VERBS if hasattr(kind, verb))
    allowed = getattr(view, "allowed_methods", None) or _required(view)
    if allowed:
        return sorted(allowed)
    if hasattr(view, "model_admin") or hasattr(view, "admin_site"):
        if name in _ADMIN_POST_ONLY:
            return ["POST"]
        return ["GET", "POST"] if name.endswith(_ADMIN_FORMS) else ["GET"]
    return ["GET"]


def _required(view: Callable[..., Any] | None) -> list[str]:
    """The methods of `require_http_methods`, found in the closure that it leaves around a view."""
    while view is not None:
        if inspect.isfunction(view):
            inside = inspect.getclosurevars(view).nonlocals
            if "request_method_list" in inside:
                return [str(method) for method in inside["request_method_list"]]
        view = getattr(view, "__wrapped__", None)
    return []
