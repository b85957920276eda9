"""Who did it and from where: taken from the running request, job or command."""

from dataclasses import dataclass

from kernel.authz import current_principal
from kernel.http import context as request_context


@dataclass(frozen=True, slots=True)
class Context:
    """What every entry says about its origin. Empty text where there is nothing to say."""

    actor_type: str
    actor_id: str = ""
    on_behalf_of: str = ""
    request_id: str = ""
    ip: str = ""
    user_agent: str = ""


def current_context() -> Context:
    """Read the context of the running code: the principal and the request it came with."""
    principal = current_principal()
    actor_id = str(principal.id) if principal.id else ""
    request = request_context.current()
    if request is None:
        return Context(principal.kind.value, actor_id)
    return Context(
        principal.kind.value,
        actor_id,
        request_id=request.request_id,
        ip=request.client_ip or "",
        user_agent=request.user_agent,
    )
