"""The names under which this instance and its logs are known to the outside."""

from uuid import UUID

from django.conf import settings

PATH = "/api/v1/audit/tlog"


def instance_origin() -> str:
    """Return the scheme-less URL prefix of all logs; it stands in every leaf.

    AUDIT_ORIGIN where it is set, else where this deployment serves its logs.
    """
    configured = getattr(settings, "AUDIT_ORIGIN", "")
    return configured or settings.INNKEEPER_PUBLIC_URL.partition("://")[2] + PATH


def new_origin(log_id: UUID) -> str:
    """Return the origin of a log that begins now. It is kept with the log and never changes.

    The id is random, so it tells nothing about the tenant.
    """
    return f"{instance_origin()}/{log_id.hex}"
