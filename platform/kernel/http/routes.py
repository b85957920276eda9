"""Every route of the system, as the checks, the documents and the generated tests see it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core import checks
from django.urls import URLPattern, URLResolver, get_resolver

from kernel.authz import Access, Scope, registry
from kernel.http.endpoint import Endpoint

STAFF_PREFIX = "admin/"
View = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One URL pattern: its template, its view, and what its methods ask for.

    ``access`` is None for staff pages, which Django's admin guards, and for an undeclared view.
    """

    template: str
    view: View
    endpoint: type[Endpoint] | None
    access: dict[str, Access] | None

    @property
    def staff(self) -> bool:
        """Tell whether the route is a page of the staff site."""
        return self.template.startswith(STAFF_PREFIX)


def walk() -> list[Route]:
    """List all routes of the URL configuration."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        template = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, template)
        else:
            yield _route(template, pattern.callback)


def _route(template: str, view: View) -> Route:
    cls = getattr(view, "cls", None)
    if isinstance(cls, type) and issubclass(cls, Endpoint):
        return Route(template, view, cls, dict(cls.access))
    declared: dict[str, Access] | None = getattr(view, "access", None)
    return Route(template, view, None, declared)


def public(view: View) -> View:
    """Declare a plain view as open to everybody for GET: pages of documentation and operation."""
    view.access = {"GET": Access(None, Scope.PUBLIC)}  # type: ignore[attr-defined]
    return view


def check_routes(**_: Any) -> list[checks.CheckMessage]:
    """Find routes without a declaration and permissions that nobody registered."""
    found: list[checks.CheckMessage] = []
    for route in walk():
        if route.staff:
            continue
        if route.access is None:
            found.append(
                checks.Error(
                    f"route {route.template!r} declares no access",
                    hint="derive its view from kernel.http.endpoint.Endpoint, or mark it public()",
                    id="kernel.E001",
                )
            )
            continue
        for method, access in route.access.items():
            if access.scope is Scope.PUBLIC:
                continue
            if access.permission is None or access.permission not in registry:
                found.append(
                    checks.Error(
                        f"{method} {route.template} asks for {access.permission!r},"
                        " which no app registers",
                        hint="register it in the permissions.py of the app that guards",
                        id="kernel.E002",
                    )
                )
    return found
