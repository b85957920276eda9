"""Reading what the operator's people may do (alias staff)."""

from accounts.models import User
from kernel import db

_GRANTED = """
SELECT DISTINCT g.permission
  FROM accounts_staff_grant g JOIN accounts_user_groups m ON m.group_id = g.group_id
 WHERE m.user_id = $1::uuid
"""
EVERYTHING = frozenset({"*:*"})


def permissions_of(user: User) -> frozenset[str]:
    """Give what a person may do over the operator's API: all as superuser, else by group.

    Who is no active member of staff may do nothing.
    """
    if not (user.is_active and user.is_staff):
        return frozenset()
    if user.is_superuser:
        return EVERYTHING
    return frozenset(name for (name,) in db.rows(_GRANTED, [user.pk]))
