"""Calls to addresses that customers give: the one door out.

Every call is judged by address at the moment of dialling, dials the address that was judged, proves
the other side's name by TLS, follows no redirect, and ends by its deadline whatever the other side
does. Signatures are those of Standard Webhooks.
"""

from kernel.outbound.client import Answer, request
from kernel.outbound.connection import dialled
from kernel.outbound.deadline import Deadline
from kernel.outbound.errors import Fault, OutboundError
from kernel.outbound.targets import Target, parse

__all__ = ["Answer", "Deadline", "Fault", "OutboundError", "Target", "dialled", "parse", "request"]
