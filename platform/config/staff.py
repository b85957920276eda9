"""Staff pages: the operator's site and what its pages need around them."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import get_user
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import CSRFCheck

from accounts.actions import STAFF_SIGN_IN_FAILED, STAFF_SIGNED_IN
from accounts.models import User
from accounts.queries.staff import permissions_of as staff_permissions
from audit.services import audited, record, record_failed
from kernel import db, tenancy
from kernel.authz import Principal, PrincipalKind, set_principal
from kernel.errors import Forbidden, RateLimited, Unauthenticated
from kernel.gate import failures
from kernel.http import problem
from kernel.http.admittance import facts_of_request

PREFIX: Final = "/admin/"
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
Handler = Callable[[HttpRequest], HttpResponseBase]


class StaffSite(AdminSite):
    """The operator's site: every model, looked at; what may be done are actions."""

    site_header = site_title = "Innkeeper"
    index_title = "Operations"
    site_url = "/api/docs"

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Sign in, and leave an audit entry either way.

        Raises:
            kernel.errors.RateLimited: too many tries from this address; a right password waits too.
            kernel.errors.Unavailable: too many sign-ins at once.
        """
        if request.method == "POST":
            _count_try(facts_of_request().client_ip)
        answer: HttpResponse = super().login(request, extra_context)
        if request.method == "POST":
            if isinstance(request.user, User) and self.has_permission(request):
                _signed_in(request.user)
            else:
                email = request.POST.get("username", "")
                record_failed(action=STAFF_SIGN_IN_FAILED.name, metadata={"email": email[:254]})
        return answer


class StaffPages:
    """Give pages below ``/admin/`` sessions, CSRF protection and the staff role; others nothing."""

    def __init__(self, get_response: Handler) -> None:
        self._plain = get_response

        def as_staff(request: HttpRequest) -> HttpResponseBase:
            if isinstance(request.user, User):
                set_principal(staff_principal(request.user))
            return get_response(request)

        self._csrf = CsrfViewMiddleware(AuthenticationMiddleware(MessageMiddleware(as_staff)))
        self._staff = SessionMiddleware(self._csrf)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        if not request.path_info.startswith(PREFIX):
            return self._plain(request)
        with db.use_alias("staff"), tenancy.across_tenants():
            response: HttpResponseBase = self._staff(request)  # type: ignore[assignment]  # WSGI
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Frame-Options"] = "DENY"
        # With the API's no-referrer, browsers send forms with Origin: null, which CSRF refuses.
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Check the CSRF token of staff forms; API views take no cookies and need none."""
        if not request.path_info.startswith(PREFIX):
            return None
        return self._csrf.process_view(request, view, args, kwargs)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer what no page caught and is no fault: a rule's refusal, a form made by hand."""
        if not request.path_info.startswith(PREFIX):
            return None
        refused = problem.translate(exception)
        return None if refused is None else problem.response(refused)


def staff_principal(user: User) -> Principal:
    """Name a member of staff: superusers may do everything, others what actions permit them."""
    power = frozenset({"*:*"}) if user.is_superuser else frozenset[str]()
    return Principal(PrincipalKind.STAFF, user.id, label=user.email, permissions=power)


class SignedInStaff:
    """The kernel's port ``staff_sessions``: sessions of the site, used on the operator's API."""

    def __init__(self) -> None:
        self._store = import_module(settings.SESSION_ENGINE).SessionStore
        self._csrf = CSRFCheck(_guarded)

    def principal(self, request: HttpRequest) -> Principal:
        """Name who is signed in: see :class:`kernel.ports.StaffSessions`.

        Raises:
            kernel.errors.Unauthenticated: the session has ended, or never was.
            kernel.errors.Forbidden: a person who is no staff, or the CSRF token is missing.
        """
        request.session = self._store(request.COOKIES[settings.SESSION_COOKIE_NAME])
        user = get_user(request)
        if not isinstance(user, User):
            raise Unauthenticated(
                "The session has ended; sign in at /admin/ again.", code="session_ended"
            )
        if not user.is_staff:
            raise Forbidden("This route is the operator's.", code="operator_only")
        self._check_token(request)
        return replace(staff_principal(user), permissions=staff_permissions(user))

    def _check_token(self, request: HttpRequest) -> None:
        """Refuse a change that another site's page may have caused; reads pass without a token."""
        self._csrf.process_request(request)
        if self._csrf.process_view(request, _guarded, (), {}):
            raise Forbidden(
                "Send the cookie csrftoken's value in the header X-CSRFToken too.",
                code="csrf_failed",
            )


def _guarded(request: HttpRequest) -> HttpResponse:
    """Stand for the API's views where Django asks which view it guards: none is exempt."""
    return HttpResponse()


def _count_try(address: str | None) -> None:
    """Count a sign-in before its password is looked at: a password is short enough to be guessed,
    so that unlike a key's, its limit has to bind the right one as well (docs/adr/0091)."""
    if wait := failures.count(address):
        raise RateLimited(
            "Too many sign-ins from this address.", code="too_many_failures", retry_after=wait
        )


def _signed_in(user: User) -> None:
    set_principal(staff_principal(user))
    with audited():
        record(action=STAFF_SIGNED_IN.name, target_type="user", target_id=user.public_id)
