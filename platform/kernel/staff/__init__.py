"""The base of the operator's pages: models are looked at, services change them.

Nothing is added, edited or deleted through a form: an edit would pass by the rules, the audit log
and the gate. What staff may do are actions, each of which calls a service and asks first.
"""

from kernel.staff.actions import service_action
from kernel.staff.models import StaffModelAdmin

__all__ = ["StaffModelAdmin", "service_action"]
