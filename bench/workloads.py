"""What is sent to each system: the same question to ours and to the assembly, and our other hot
routes."""

from __future__ import annotations

import json
from typing import Any

from bench.load.wire import UNIQUE, Request, json_request
from bench.systems.assembly import FEATURE as ASSEMBLY_FEATURE
from bench.systems.assembly import Organization
from bench.systems.innkeeper import BATCH, ENTITLEMENT, FEATURE, METER_EVENT, METERED, Guest

VERIFY = "/api/v1/keys/verify"
EVENTS = "/api/v1/events"
SINGLE_TYPE = "application/cloudevents+json"
BATCH_TYPE = "application/cloudevents-batch+json"


def constant() -> tuple[Request, ...]:
    """What the floors are asked."""
    return (Request("GET", "/"),)


def live() -> tuple[Request, ...]:
    """Liveness."""
    return (Request("GET", "/livez"),)


def verify(platform_key: str, guests: list[Guest]) -> tuple[Request, ...]:
    """A service asks about its customers' keys in turn: valid, granted, within limits? Counted."""
    return tuple(
        json_request("POST", VERIFY, platform_key, {"key": guest.key, "feature": FEATURE})
        for guest in guests
    )


def assembly_verify(organizations: list[Organization]) -> tuple[Request, ...]:
    """The same question to the assembly, which takes the customer's key as the caller's."""
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"feature": ASSEMBLY_FEATURE}, separators=(",", ":"))
    return tuple(
        Request("POST", "/verify", headers | {"Authorization": f"Api-Key {found.key}"}, body)
        for found in organizations
    )


def ingest(guests: list[Guest]) -> tuple[Request, ...]:
    """One usage event a request, for each tenant in turn."""
    return tuple(
        json_request("POST", EVENTS, guest.key, _event(0), Content_Type=SINGLE_TYPE)
        for guest in guests
    )


def ingest_batch(guests: list[Guest], size: int = BATCH) -> tuple[Request, ...]:
    """So many usage events a request, of ten subjects, for each tenant in turn."""
    events = [_event(index) for index in range(size)]
    return tuple(
        json_request("POST", EVENTS, guest.key, events, Content_Type=BATCH_TYPE) for guest in guests
    )


def units(guests: list[Guest]) -> tuple[Request, ...]:
    """One event of a metered feature of the plan a request, for each tenant in turn."""
    event = {**_event(0), "type": METERED, "data": {"quantity": 1}}
    return tuple(
        json_request("POST", EVENTS, guest.key, event, Content_Type=SINGLE_TYPE) for guest in guests
    )


def metered(guests: list[Guest]) -> tuple[Request, ...]:
    """What is left of that feature, asked by each tenant in turn."""
    return tuple(
        json_request(
            "GET", f"/api/v1/customers/{guest.slug}/entitlements/{METERED}/value", guest.key
        )
        for guest in guests
    )


def entitlement(guests: list[Guest]) -> tuple[Request, ...]:
    """What a plan grants, asked by each tenant in turn."""
    return tuple(
        json_request(
            "GET", f"/api/v1/customers/{guest.slug}/entitlements/{ENTITLEMENT}/value", guest.key
        )
        for guest in guests
    )


def _event(index: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{UNIQUE}-{index}",
        "source": "bench",
        "type": METER_EVENT,
        "subject": f"subject-{index % 10}",
        "data": {"value": 1 + index % 7},
    }
