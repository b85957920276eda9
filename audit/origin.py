"""The name under which this instance's logs are known to the outside."""

from typing import Final
from uuid import UUID

from django.conf import settings

DEFAULT_ORIGIN: Final = "innkeeper.invalid/audit"


def instance_origin() -> str:
    """Return AUDIT_ORIGIN: the scheme-less URL prefix of all logs, part of every leaf."""
    return getattr(settings, "AUDIT_ORIGIN", None) or DEFAULT_ORIGIN


def log_origin(log_id: UUID) -> str:
    """Return the origin of one log. The id is random, so it tells nothing about the tenant."""
    return f"{instance_origin()}/{log_id.hex}"
