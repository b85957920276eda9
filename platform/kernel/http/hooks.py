"""Hooks around requests, bound by the composition root: the kernel does not know who listens."""

from collections.abc import Callable

from kernel.authz import Access, Principal
from kernel.errors import DomainError
from kernel.http.context import RequestContext

Finished = Callable[[RequestContext], None]
Denied = Callable[[RequestContext, Principal, DomainError], None]
SensitiveRead = Callable[[RequestContext, Principal, Access], None]


class RequestHooks:
    """Who is told what. Every hook runs in the request's thread after the response is made.

    ``finished`` sees every request; it must be quick and must not raise for bad facts.
    ``denied`` sees a known caller's refusal (401 with a real key id, 403), in no transaction.
    ``sensitive_read`` sees an admitted read whose Access says so.
    """

    def __init__(self) -> None:
        self.finished: list[Finished] = []
        self.denied: list[Denied] = []
        self.sensitive_read: list[SensitiveRead] = []


hooks = RequestHooks()
