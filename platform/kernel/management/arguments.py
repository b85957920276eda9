"""Arguments of commands, read the same way by all of them."""

from uuid import UUID

from django.core.management.base import CommandError

from kernel import ids


def tenant_of(text: str) -> UUID:
    """Read a tenant's id as it is shown (``ten_…``), or as a UUID.

    Raises:
        CommandError: it is neither.
    """
    shown = ids.read(ids.TENANT, text)
    try:
        return shown or UUID(text)
    except ValueError as error:
        raise CommandError(f"{text} is no tenant id") from error
