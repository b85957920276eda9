"""Recording metered use from inside Innkeeper: the port ``kernel.ports.usage``."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from billing.usage.cloudevents import Event
from billing.usage.models import Aggregation, Meter, Origin
from billing.usage.queries import customers
from billing.usage.services.ingest import ingest
from kernel import db
from kernel.errors import Invalid

SOURCE: Final = "innkeeper/verify"
_SEEN: Final = """
SELECT 1 FROM billing_usage_seen WHERE scope = $1::uuid AND source = $2::text AND id = $3::text
"""
_POINTER: Final = "/meter/slug"


class MeteredUse:
    """Writes use as an event of the meter's own type, so that ledger, meter and quota agree."""

    def record(
        self, *, tenant_id: UUID, meter: str, quantity: Decimal, event_id: str, data: dict[str, Any]
    ) -> None:
        """Write one usage event, in the open transaction, counted once per ``event_id``.

        Raises:
            kernel.errors.Invalid: no such meter, one that no event feeds, or a quantity that is
                not 1 for a meter that counts events.
        """
        write_use(
            tenant_id=tenant_id,
            meter=meter,
            quantity=quantity,
            event_id=event_id,
            data=data,
            source=SOURCE,
        )

    def recorded(self, tenant_id: UUID, event_id: str) -> bool:
        """Tell whether an event of this id was written for the tenant of the context."""
        return bool(db.rows(_SEEN, [tenant_id, SOURCE, event_id]))


def write_use(
    *,
    tenant_id: UUID,
    meter: str,
    quantity: Decimal,
    event_id: str,
    data: dict[str, Any],
    source: str,
    subject: str = "",
    at: datetime | None = None,
) -> None:
    """Write use of a meter as one event of ``source``, in the open transaction, once per id.

    ``subject`` is by default the tenant itself, ``at`` the server's clock.

    Raises:
        kernel.errors.Invalid: no such meter, one that no event feeds, or a quantity that is not 1
            for a meter that counts events.
    """
    found = Meter.visible().filter(slug=meter).first()
    if found is None or found.origin != Origin.EVENTS:
        raise Invalid(f"There is no meter {meter!r} to report to.", pointer=_POINTER)
    if found.aggregation == Aggregation.COUNT and quantity != 1:
        message = f"{meter} counts events: the quantity is 1."
        raise Invalid(message, pointer="/meter/quantity")
    event = Event(
        id=event_id,
        source=source,
        type=found.event_type,
        subject=subject or customers.public_id(tenant_id),
        time=at,
        data=msgspec.Raw(msgspec.json.encode(_with_value(data, found.value_path, quantity))),
    )
    ingest([event], tenant_id=tenant_id)


def _with_value(data: dict[str, Any], path: list[str], quantity: Decimal) -> dict[str, Any]:
    """Put the quantity at the meter's path, beside the caller's facts."""
    return placed(data, path, format(quantity, "f")) if path else data


def placed(data: dict[str, Any], path: Sequence[str], text: str) -> dict[str, Any]:
    """Give data with a text at a path besides; what stands in the way is replaced."""
    step, *rest = path
    inner = data.get(step)
    below = inner if isinstance(inner, dict) else {}
    return data | {step: placed(below, rest, text) if rest else text}
