"""Entries that requests leave by themselves: refusals of known callers, sensitive reads.

The composition root hangs these functions into :data:`kernel.http.hooks.hooks`.
"""

from audit.actions import DATA_READ, EVENTS_VIEWED
from audit.permissions import READ, VIEW
from audit.services.apart import record_denied, record_read
from audit.services.context import Context
from kernel.authz import Access, Principal
from kernel.errors import DomainError
from kernel.http.context import RequestContext


def denied(facts: RequestContext, principal: Principal, error: DomainError) -> None:
    """Record that a known caller was refused, after the rollback."""
    record_denied(
        target_id=facts.route or facts.path,
        tenant_id=principal.tenant_id,
        metadata={"method": facts.method, "code": error.code},
        context=_context(facts, principal),
    )


def sensitive_read(facts: RequestContext, principal: Principal, access: Access) -> None:
    """Record a sensitive read."""
    action = EVENTS_VIEWED if access.permission in (READ.name, VIEW.name) else DATA_READ
    record_read(
        action=action.name,
        target_id=facts.route or facts.path,
        tenant_id=principal.tenant_id,
        metadata={"method": facts.method},
        context=_context(facts, principal),
    )


def _context(facts: RequestContext, principal: Principal) -> Context:
    return Context(
        principal.kind.value,
        str(principal.id) if principal.id else "",
        request_id=facts.request_id,
        ip=facts.client_ip or "",
        user_agent=facts.user_agent,
    )
