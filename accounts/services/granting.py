"""The rule of all grants: nobody grants what they lack."""

from collections.abc import Iterable

from kernel.authz import current_principal, missing
from kernel.errors import Forbidden


def require_ceiling(wanted: Iterable[str], pointer: str) -> None:
    """Refuse a grant beyond the caller's own.

    Raises:
        kernel.errors.Forbidden: code ``permission_ceiling``; ``lacking`` lists what is missing.
    """
    lacking = missing(current_principal().permissions, wanted)
    if lacking:
        raise Forbidden(
            f"You cannot grant what you lack: {', '.join(lacking)}.",
            code="permission_ceiling",
            pointer=pointer,
            extensions={"lacking": lacking},
        )


def within_ceiling(wanted: Iterable[str]) -> tuple[str, ...]:
    """Keep of a default what the caller may grant."""
    names = tuple(wanted)
    lacking = set(missing(current_principal().permissions, names))
    return tuple(name for name in names if name not in lacking)
