"""From the parameters of a list of events to a checked search."""

from datetime import datetime
from typing import Final

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter

from billing.usage.api import parameters
from billing.usage.queries import customers
from billing.usage.queries.events import Search
from kernel.errors import Invalid

LONGEST_TEXT: Final = 256
FILTERS: Final = [
    OpenApiParameter("id", str, description="An id, or part of one."),
    OpenApiParameter("source", str, description="Part of a source."),
    OpenApiParameter("type", str, description="A type, exactly."),
    OpenApiParameter("subject", str, description="Part of a subject."),
    OpenApiParameter("q", str, description="Text anywhere in the event, its data included."),
    OpenApiParameter(
        "hasError", bool, description="true: only what does not count; false: only what does."
    ),
    OpenApiParameter("customerId", str, many=True),
    OpenApiParameter("from", datetime),
    OpenApiParameter("to", datetime),
    OpenApiParameter("ingestedAtFrom", datetime),
    OpenApiParameter("ingestedAtTo", datetime),
]


def searched(query: QueryDict, *, limit: int = 0, start: datetime | None = None) -> Search:
    """Read the filters; ``start`` is where ``from`` is by default.

    Raises:
        kernel.errors.Invalid: a parameter is malformed.
        kernel.errors.NotFound: an unknown customer.
    """
    asked = parameters.time(query, "from")
    return Search(
        limit=limit,
        start=asked or start,
        oldest=asked,
        end=parameters.time(query, "to"),
        ingested_start=parameters.time(query, "ingestedAtFrom"),
        ingested_end=parameters.time(query, "ingestedAtTo"),
        id=_text(query, "id"),
        source=_text(query, "source"),
        type=_text(query, "type"),
        subject=_text(query, "subject"),
        text=_text(query, "q"),
        faulty=_truth(query, "hasError"),
        tenants=[customers.find(text) for text in query.getlist("customerId")],
    )


def _text(query: QueryDict, name: str) -> str | None:
    text = query.get(name)
    if text and (len(text) > LONGEST_TEXT or "\x00" in text):
        message = f"{name} is a text of at most {LONGEST_TEXT} characters."
        raise Invalid(message, pointer=f"/query/{name}")
    return text


def _truth(query: QueryDict, name: str) -> bool | None:
    text = query.get(name, "").lower()
    if text not in {"", "true", "false"}:
        raise Invalid(f"{name} is true or false.", pointer=f"/query/{name}")
    return None if not text else text == "true"
