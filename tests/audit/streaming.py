"""Streams, as their tests make, fill and look at them."""

import json
from typing import Any
from uuid import UUID

from audit.models import PLATFORM_TENANT
from audit.sealing.sealer import Sealer
from audit.streams import delivery, dispatcher, progress, queries, services
from audit.streams.services import Made, NewStream
from tests.audit.logs import changes
from tests.guests import inside, system


def stream(tenant: UUID, url: str, **facts: Any) -> Made:
    asked = NewStream(**{"name": "test", "kind": "webhook", "url": url, "scope": "both"} | facts)
    if tenant == PLATFORM_TENANT:
        with system():
            return services.create(asked)
    with inside(tenant):
        return services.create(asked)


def sealed(sealer: Sealer, tenant: UUID, count: int) -> None:
    changes(tenant, count)
    sealer.drain()


def deliver(made: Made) -> int:
    with system():
        return dispatcher.deliver_now(made.stream.id)


def state(made: Made) -> queries.Health:
    with system():
        return queries.health_of([made.stream])[made.stream.id]


def lines(bodies: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def places(documents: list[dict[str, Any]]) -> list[int]:
    return [one["leaf_index"] for one in documents if "leaf_index" in one]


def once(documents: list[dict[str, Any]]) -> list[int]:
    """Deduplicate by id, as a receiver would, keeping the first of each."""
    first = {one["id"]: one["leaf_index"] for one in documents if "leaf_index" in one}
    return list(first.values())


def failing_once(made: Made) -> None:
    with system():
        (held,) = progress.claim(1, only=made.stream.id)
        assert delivery.deliver(held) == 0
