"""Reading a request that brings a single event, before its caller is admitted.

A caller is admitted together with others, and its event is written with theirs, so both must be
known beforehand. What the body has to be blamed for is said only once the gate has let its sender
in: whoever has no right to report learns nothing but that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.usage.cloudevents import BATCH, LINES, decode, media_type
from billing.usage.services.grouping import LARGEST_DATA, Arrival
from kernel.errors import DomainError
from kernel.gate import keys
from kernel.gate.company import Caller
from kernel.gate.presented import credential
from kernel.http.admittance import bearer, facts_of_request
from kernel.http.hot import HotRequest

_HEADER: Final = "HTTP_CE_"


@dataclass(slots=True)
class Arriving:
    """A tenant's caller with its event, or with what is wrong with its body."""

    arrival: Arrival
    fault: DomainError | None = None


def arriving(request: HotRequest) -> Arriving | None:
    """Read a report of one event by a tenant's key; None for any other request.

    Raises:
        kernel.errors.Unauthenticated: no bearer credential.
    """
    meta = request.META
    length = meta.get("CONTENT_LENGTH") or ""
    content_type = meta.get("CONTENT_TYPE", "")
    key = bearer(request)
    if (
        not key.startswith(keys.TENANT)
        or not length.isdigit()
        or int(length) > LARGEST_DATA
        or "HTTP_INNKEEPER_TENANT" in meta
        or media_type(content_type)[0] in (LINES, BATCH)
    ):
        return None
    presented = credential(key)
    if presented is None:
        return None
    event, fault = None, None
    try:
        events = decode(request.body, content_type, attributes(meta))
    except DomainError as refused:
        fault = refused
    else:
        if len(events) != 1:
            return None
        event = events[0]
    caller = Caller(presented, facts_of_request().client_ip)
    return Arriving(Arrival(key=key, caller=caller, event=event), fault)


def attributes(meta: Mapping[str, Any]) -> dict[str, str]:
    """Collect the CloudEvents attributes of binary mode from the request's headers."""
    if "HTTP_CE_ID" not in meta and "HTTP_CE_SPECVERSION" not in meta:
        return {}
    return {
        name.removeprefix(_HEADER).lower(): value
        for name, value in meta.items()
        if name.startswith(_HEADER)
    }
