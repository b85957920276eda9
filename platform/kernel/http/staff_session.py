"""The operator's staff on the operator's routes: the session of the staff pages in place of a key.

A key in the header goes first and asks for nothing else. Sessions open no other routes: what a
browser sends by itself never acts for a tenant.
"""

import time

from django.conf import settings
from django.http import HttpRequest

from kernel import ports
from kernel.authz import Access, Principal, Scope, set_principal
from kernel.errors import Forbidden
from kernel.http.admittance import facts_of_request


def presented(request: HttpRequest, access: Access) -> bool:
    """Tell whether a request of an operator's route comes with a session and without a key."""
    return (
        access.scope is Scope.OPERATOR
        and "HTTP_AUTHORIZATION" not in request.META
        and settings.SESSION_COOKIE_NAME in request.COOKIES
    )


def admit(request: HttpRequest, access: Access) -> Principal:
    """Let the member of staff pass who is signed in and permitted; runs as staff.

    Raises:
        kernel.errors.Unauthenticated: the session has ended.
        kernel.errors.Forbidden: no staff, no CSRF token, or not permitted.
    """
    facts = facts_of_request()
    started = time.perf_counter_ns()
    principal = ports.staff_sessions().principal(request)
    facts.stage("session", started)
    facts.principal_kind, facts.key_id = principal.kind, principal.id
    facts.principal_id = str(principal.id or "")
    set_principal(principal)
    if access.permission is None or not principal.may(access.permission):
        raise Forbidden(
            f"Your staff groups lack the permission {access.permission}.",
            code="insufficient_permissions",
            extensions={"required": access.permission},
        )
    return principal
