"""Acting as the system itself: commands, jobs and services of the worker."""

from collections.abc import Iterator
from contextlib import contextmanager

from kernel import authz, db, tenancy


@contextmanager
def as_system() -> Iterator[None]:
    """Work as the system inside the block, across all tenants, as the role staff."""
    before = authz.current_principal()
    authz.set_principal(authz.SYSTEM)
    try:
        with db.use_alias("staff"), tenancy.across_tenants():
            yield
    finally:
        authz.set_principal(before)
