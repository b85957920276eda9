"""From a request's headers to a principal: the HTTP side of the gate, one for all endpoints."""

import time
from typing import Any, Protocol
from uuid import UUID

from kernel import ids
from kernel.authz import ANONYMOUS, Access, Principal, PrincipalKind, Scope, set_principal
from kernel.errors import (
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
)
from kernel.gate import failures, keys, limits
from kernel.gate.admission import Admission, admit
from kernel.gate.limits import Limit
from kernel.gate.wire import HotConnection
from kernel.http.context import RequestContext, current


class Headed(Protocol):
    """A request, as far as the gate reads it."""

    META: dict[str, Any]


_SLEEPER = "python-openmeter/"  # sleeps through any Retry-After, uncapped: docs/adr/0083
_LONGEST_SLEEP_S = 5


def bearer(request: Headed) -> str:
    """Read the API key from the Authorization header.

    Raises:
        kernel.errors.Unauthenticated: no bearer credential.
    """
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated(
            "Present an API key in the header Authorization: Bearer …", code="missing_credential"
        )
    return credential.strip()


def admit_request(request: Headed, access: Access, connection: HotConnection | None) -> Principal:
    """Let the gate decide about a request; note the caller in the request's facts.

    ``connection`` None asks on Django's connection of the current alias.

    Raises:
        kernel.errors.DomainError: refused, with the reason that the caller may know.
    """
    facts = facts_of_request()
    if access.scope is Scope.PUBLIC:
        set_principal(ANONYMOUS)
        return ANONYMOUS
    started = time.perf_counter_ns()
    key = bearer(request)
    admission = admit(
        connection,
        key,
        ip=facts.client_ip,
        permission=access.permission,
        platform_only=access.scope is Scope.OPERATOR,
        named_tenant=named_tenant(request, access),
    )
    facts.stage("gate", started)
    return settle(key, access, admission, facts)


def settle(key: str, access: Access, admission: Admission, facts: RequestContext) -> Principal:
    """Note the caller that the gate has decided about, and let it in.

    Raises:
        kernel.errors.DomainError: refused, with the reason that the caller may know.
    """
    principal = principal_of(admission)
    remember(facts, principal, admission)
    if admission.code != "VALID":
        raise refused(key, admission.code, admission.limits, facts, access.permission)
    if access.scope is Scope.TENANT and principal.tenant_id is None:
        raise Invalid(
            "A platform key names the tenant that it acts for in the header Innkeeper-Tenant.",
            code="tenant_required",
        )
    set_principal(principal)
    return principal


def facts_of_request() -> RequestContext:
    """Give the running request's facts; the middleware has always entered them."""
    facts = current()
    if facts is None:
        raise RuntimeError("no request is running: RequestMiddleware is missing")
    return facts


def named_tenant(request: Headed, access: Access) -> UUID | None:
    """Read the tenant that a platform key acts for.

    Raises:
        kernel.errors.NotFound: the header holds no tenant id: as for an unknown tenant.
    """
    text: str = request.META.get("HTTP_INNKEEPER_TENANT", "")
    if not text or access.scope is Scope.OPERATOR:
        return None
    try:
        return ids.decode(ids.TENANT, text)
    except ids.InvalidIdError as error:
        raise NotFound("There is no such tenant.", code="tenant_not_found") from error


def principal_of(admission: Admission) -> Principal:
    """Name the caller that the gate resolved; anonymous where it resolved none."""
    if admission.key_id is None:
        return ANONYMOUS
    kind = PrincipalKind.TENANT_KEY if admission.kind == "tenant" else PrincipalKind.PLATFORM_KEY
    return Principal(
        kind,
        admission.key_id,
        tenant_id=admission.tenant_id,
        permissions=admission.permissions,
        lineage=admission.lineage,
        versions={
            "config": admission.config_version,
            "entitlement": admission.entitlement_version,
        },
    )


def remember(facts: RequestContext, principal: Principal, admission: Admission) -> None:
    """Put caller and limits into the request's facts."""
    facts.principal_kind = principal.kind
    facts.key_id = principal.id
    facts.principal_id = str(principal.id or "")
    facts.tenant_id = principal.tenant_id
    if admission.limits:
        facts.rate_headers = limits.headers(list(admission.limits), admission.now_us)


def refused(
    key: str, code: str, found: object, facts: RequestContext, permission: str | None
) -> DomainError:
    """Name the error of a refusal of the caller's own key; wrong keys count against its address.

    Raises:
        kernel.errors.Unavailable: the gate does not answer.
    """
    if code == "NOT_FOUND" and keys.parse(key) is not None:
        wait = failures.count(facts.client_ip)
        if wait:
            return RateLimited(
                "Too many wrong keys from this address.",
                code="too_many_failures",
                retry_after=wait,
            )
    return refusal(code, found, facts, permission)


def refusal(code: str, found: object, facts: RequestContext, permission: str | None) -> DomainError:
    """Name the error of a refusal by the gate about the caller itself."""
    match code:
        case "NOT_FOUND":
            return Unauthenticated("The API key is not valid.", code="invalid_key")
        case "DISABLED":
            return Unauthenticated("The API key is disabled or revoked.", code="key_disabled")
        case "EXPIRED":
            return Unauthenticated("The API key has expired.", code="key_expired")
        case "TENANT_NOT_FOUND":
            return NotFound("There is no such tenant.", code="tenant_not_found")
        case "TENANT_SUSPENDED":
            return Forbidden("The tenant is suspended.", code="tenant_suspended")
        case "FORBIDDEN":
            return Forbidden(
                "The API key may not be used from this address.", code="address_not_allowed"
            )
        case "WRONG_KIND":
            return Forbidden("This route is the operator's.", code="operator_only")
        case "INSUFFICIENT_PERMISSIONS":
            return Forbidden(
                f"The API key lacks the permission {permission}.",
                code="insufficient_permissions",
                extensions={"required": permission},
            )
    exceeded = [x for x in found if isinstance(x, Limit)] if isinstance(found, list) else []
    return limit_error(exceeded, facts)


def limit_error(found: list[Limit], facts: RequestContext) -> DomainError:
    """Name the error of used-up limits, with the seconds until there is more."""
    violated = [limit for limit in found if limit.exceeded]
    wait = max([limit.reset for limit in violated], default=1) or 1
    errors = [
        FieldError("", limit.name, f"{limit.name}: {limit.limit} used up") for limit in violated
    ]
    extensions = {"violated-policies": [x.name for x in violated], "resetSeconds": wait}
    quota = any(limit.name.endswith("daily") for limit in violated)
    sleeps = facts.user_agent.startswith(_SLEEPER) and wait > _LONGEST_SLEEP_S
    retry_after = None if sleeps else wait
    if quota:
        return QuotaExceeded(
            "The requests of this day are used up.",
            errors=errors, extensions=extensions, retry_after=retry_after,
        )  # fmt: skip
    return RateLimited(
        "Too many requests at once.", errors=errors, extensions=extensions, retry_after=retry_after
    )
