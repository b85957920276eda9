"""The names under which this instance and its logs are known to the outside."""

from functools import cache
from uuid import UUID

from kernel import db


@cache
def instance_origin() -> str:
    """Return the scheme-less URL prefix of all logs; it stands in every leaf.

    It is kept with the data and never changes, whatever address the instance is reached under
    later (docs/adr/0144).
    """
    ((origin,),) = db.rows("SELECT origin FROM audit_instance")
    return str(origin)


def new_origin(log_id: UUID) -> str:
    """Return the origin of a log that begins now. It is kept with the log and never changes.

    The id is random, so it tells nothing about the tenant.
    """
    return f"{instance_origin()}/{log_id.hex}"
