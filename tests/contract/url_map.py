"""The URL map as the generated tests of this folder see it: every route, method and parameter."""

import re
from collections.abc import Mapping

from audit.api.rendering import EVENT_PREFIX
from kernel import ids
from kernel.authz import Access
from kernel.http.routes import Route, walk

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
UNKNOWN = {
    "customer": lambda: ids.encode("ten", ids.new_id()),
    "entitlement": lambda: ids.encode("ent", ids.new_id()),
    "event": lambda: ids.encode(EVENT_PREFIX, ids.new_id()),
    "feature": lambda: "no_such_feature",
    "hold": lambda: ids.encode("hld", ids.new_id()),
    "grant": lambda: ids.encode("grt", ids.new_id()),
    "id_or_slug": lambda: f"unknown_{ids.new_id().hex}",
    "key": lambda: ids.encode("key", ids.new_id()),
    "log": lambda: str(ids.new_id()),
    "member": lambda: ids.encode("mem", ids.new_id()),
    "stream": lambda: ids.encode("str", ids.new_id()),
    "subject": lambda: f"unknown-{ids.new_id().hex}",
    "tenant": lambda: ids.encode("ten", ids.new_id()),
    "viewer": lambda: ids.encode("auv", ids.new_id()),
    "tile": lambda: "0/000.p/1",
}
"""How a parameter of each name is filled with something that nothing has."""


def api_routes() -> list[Route]:
    return [route for route in walk() if not route.staff]


def cases() -> list[tuple[str, str, Access]]:
    """Every (template, method, declaration); undeclared routes are another test's business."""
    return [
        (route.template, method, access)
        for route in api_routes()
        for method, access in (route.access or {}).items()
    ]


def parameters(template: str) -> list[str]:
    return PARAMETER.findall(template)


def filled(template: str, values: Mapping[str, str] | None = None) -> str:
    """Fill a template; what ``values`` does not give is filled with something unknown.

    A parameter that this module cannot fill fails the test: teach it above.
    """
    given = values or {}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return given[name] if name in given else UNKNOWN[name]()

    return "/" + PARAMETER.sub(value, template)
