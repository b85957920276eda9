"""The base of all endpoints: deny by default, admitted by the gate, one transaction a write."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel import db, idempotency, tenancy
from kernel.authz import ANONYMOUS, Access, Principal, PrincipalKind, Scope, current_principal
from kernel.errors import DomainError, Forbidden, MethodNotAllowed, Unauthenticated
from kernel.http import staff_session
from kernel.http.admittance import admit_request, facts_of_request
from kernel.http.hooks import hooks

VERBS = ("get", "post", "put", "patch", "delete")
_SAFE = frozenset({"GET", "HEAD"})


class UndeclaredAccessError(TypeError):
    """An endpoint answers a method without saying who may call it: it does not start."""


class Endpoint(APIView):
    """A route's methods and what each asks for.

    Subclasses define ``get``, ``post``, ``put``, ``patch`` or ``delete`` and declare ``access`` for
    exactly these. Reads run in autocommit; writes run in one transaction together with the record
    of their Idempotency-Key. OPERATOR routes run as staff, and so do ANY_TENANT routes for an
    operator who named no tenant; all others run as the app role.
    """

    access: ClassVar[Mapping[str, Access]] = {}
    authentication_classes = ()
    permission_classes = ()
    request: Request

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class whose methods and declarations differ.

        Raises:
            UndeclaredAccessError: a method without access, or access without a method.
        """
        super().__init_subclass__(**kwargs)
        answered = {verb.upper() for verb in VERBS if hasattr(cls, verb)}
        declared = set(cls.access)
        if answered != declared:
            raise UndeclaredAccessError(
                f"{cls.__module__}.{cls.__qualname__} answers {sorted(answered)}"
                f" and declares {sorted(declared)}"
            )

    @classmethod
    def access_of(cls, method: str) -> Access:
        """Look up what a method asks for; HEAD asks what GET does.

        Raises:
            kernel.errors.MethodNotAllowed: the route does not know the method.
        """
        access = cls.access.get("GET" if method == "HEAD" else method)
        if access is None:
            raise MethodNotAllowed(
                f"The method {method} is not allowed here.",
                extensions={"allowed": sorted(cls.access)},
            )
        return access

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Add nothing: Allow belongs to 405, Vary to what varies."""
        return {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Admit the request, run its method, render what comes of it."""
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        self.format_kwarg = None
        answer: HttpResponseBase
        try:
            answer = self._answer(request, *args, **kwargs)
        except Exception as raised:  # noqa: BLE001 - the HTTP boundary: the one edge that may
            answer = self.handle_exception(raised)
        if not isinstance(answer, Response):
            return answer
        if not hasattr(self.request, "accepted_renderer"):  # refused before negotiation
            renderer = self.get_renderers()[0]
            self.request.accepted_renderer = renderer
            self.request.accepted_media_type = renderer.media_type
        return self.finalize_response(self.request, answer, *args, **kwargs)

    def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        method = request.method or ""
        access = self.access_of(method)
        with ExitStack() as stack:
            if access.scope is Scope.OPERATOR:
                stack.enter_context(db.use_alias("staff"))
            principal = self._admitted(request, access)
            stack.enter_context(_work_scope(access, principal))
            renderer, media_type = self.perform_content_negotiation(self.request)
            self.request.accepted_renderer = renderer
            self.request.accepted_media_type = media_type
            handler = getattr(self, "get" if method == "HEAD" else method.lower())
            answer = self._run(handler, method, principal, *args, **kwargs)
            if access.sensitive and method in _SAFE:
                for listener in hooks.sensitive_read:
                    listener(facts_of_request(), principal, access)
            return answer

    def _admitted(self, request: HttpRequest, access: Access) -> Principal:
        facts_of_request().secret = access.secret
        try:
            if staff_session.presented(request, access):
                return staff_session.admit(request, access)
            return admit_request(request, access, None)
        except (Forbidden, Unauthenticated) as refused:
            tell_denied(refused)
            raise

    def _run(
        self,
        handler: Callable[..., Response],
        method: str,
        principal: Principal,
        *args: Any,
        **kwargs: Any,
    ) -> HttpResponseBase:
        facts = facts_of_request()
        started = time.perf_counter_ns()
        try:
            if method in _SAFE:
                return handler(self.request, *args, **kwargs)
            with db.atomic():
                return idempotency.run(
                    self.request, principal, lambda: handler(self.request, *args, **kwargs)
                )
        except Forbidden as refused:
            tell_denied(refused)
            raise
        finally:
            facts.stage("app", started)


@contextmanager
def _work_scope(access: Access, principal: Principal) -> Iterator[None]:
    """Work for the tenant; the operator who named none works as staff, across tenants.

    So a write of the operator and the record of its Idempotency-Key are one transaction.
    """
    named_none = access.scope is Scope.ANY_TENANT and principal.tenant_id is None
    if access.scope is Scope.OPERATOR or named_none:
        with db.use_alias("staff"), tenancy.across_tenants():
            yield
        return
    with tenancy.adopted(principal.tenant_id):
        yield


def tell_denied(refused: DomainError) -> None:
    """Tell the listeners of a refusal, where the caller is known."""
    facts = facts_of_request()
    if facts.key_id is None:
        return
    principal = current_principal()
    if principal is ANONYMOUS or principal.id != facts.key_id:
        kind = PrincipalKind(facts.principal_kind)
        principal = Principal(kind, facts.key_id, tenant_id=facts.tenant_id)
    for listener in hooks.denied:
        listener(facts, principal, refused)
