"""Staff pages: the admin site and what its pages need around them."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from kernel import db, tenancy

PREFIX = "/admin/"
Handler = Callable[[HttpRequest], HttpResponseBase]


class StaffSite(AdminSite):
    """The operator's site."""

    site_header = site_title = "Innkeeper"
    index_title = "Operations"


class StaffPages:
    """Give pages below ``/admin/`` sessions, CSRF protection and the staff role; others nothing."""

    def __init__(self, get_response: Handler) -> None:
        self._plain = get_response
        self._csrf = CsrfViewMiddleware(AuthenticationMiddleware(MessageMiddleware(get_response)))
        self._staff = SessionMiddleware(self._csrf)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        if not request.path_info.startswith(PREFIX):
            return self._plain(request)
        with db.use_alias("staff"), tenancy.across_tenants():
            return self._staff(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Check the CSRF token of staff forms; API views take no cookies and need none."""
        if not request.path_info.startswith(PREFIX):
            return None
        return self._csrf.process_view(request, view, args, kwargs)
