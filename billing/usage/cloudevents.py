"""CloudEvents 1.0 as they arrive over HTTP, decoded and checked without touching the database.

Structured, batch and binary mode and plain JSON (CloudEvents HTTP protocol binding 1.0.2, JSON
format 1.0.2). ``data`` stays the sender's text: PostgreSQL parses it once and keeps exact numbers.
Content types are parsed with their parameters; a body in another charset than UTF-8 is refused.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.message import Message
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote

import msgspec

from kernel.errors import FieldError, Invalid, TooLarge, UnsupportedMediaType

LONGEST: Final = 256
"""The longest id, source, type and subject, in characters."""
LONGEST_REFERENCE: Final = 2_048
"""The longest dataschema, in characters."""
LARGEST_BATCH: Final = 10_000
"""The most events of one batch."""
LONGEST_LINE: Final = 256 * 1024
"""The longest line of NDJSON, in bytes."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
Reference = Annotated[str, msgspec.Meta(max_length=LONGEST_REFERENCE)]
_NO_DATA: Final = msgspec.Raw(b"null")
_JSON_TYPES: Final = frozenset({"application/json"})
_SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_PLAIN: Final = "application/json"


class Event(msgspec.Struct, gc=False):
    """One event. ``time`` is aware, or naive and then UTC, or None for the server's clock."""

    id: Name
    source: Name
    type: Name
    subject: Name
    specversion: str = "1.0"
    time: datetime | None = None
    data: msgspec.Raw = _NO_DATA
    datacontenttype: str | None = None
    dataschema: Reference | None = None


S = TypeVar("S")
_one: Final = msgspec.json.Decoder(Event)
_many: Final = msgspec.json.Decoder(list[Event])


def decode(
    body: bytes, content_type: str, attributes: Mapping[str, str] | None = None
) -> list[Event]:
    """Read the events of a request body.

    Args:
        body: the request's body.
        content_type: the Content-Type header.
        attributes: the values of ``ce-`` headers by attribute, in binary mode.

    Raises:
        kernel.errors.Invalid: a malformed body or event; every error points at its place.
        kernel.errors.UnsupportedMediaType: a content type that this door does not read.
        kernel.errors.TooLarge: more than :data:`LARGEST_BATCH` events.
    """
    media, charset = media_type(content_type)
    if charset not in {"", "utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(f"The charset {charset!r} is not read; send UTF-8.")
    if media == BATCH:
        events = _decode(_many, body)
    elif media == _SINGLE:
        events = [_decode(_one, body)]
    elif attributes:
        events = [_binary(body, media, attributes)]
    elif media == _PLAIN:
        many = body.lstrip()[:1] == b"["
        events = _decode(_many, body) if many else [_decode(_one, body)]
    else:
        raise UnsupportedMediaType(
            f"Events are read as {_SINGLE}, {BATCH} or {_PLAIN}, not as {media or 'nothing'}."
        )
    return check(events)


LINES: Final = "application/x-ndjson"


def decode_lines(lines: Iterable[bytes]) -> list["Event | Invalid"]:
    """Read one event a line, each for itself: an event, or why it is none. Empty lines are passed.

    A line of :data:`LONGEST_LINE` bytes or more is none, whatever it holds.
    """
    found: list[Event | Invalid] = []
    for line in lines:
        if not line.strip():
            continue
        try:
            if len(line) >= LONGEST_LINE:
                message = f"A line has fewer than {LONGEST_LINE} bytes."
                raise invalid([FieldError("", "too_long", message)])
            found += check([_decode(_one, line)])
        except Invalid as refused:
            found.append(refused)
    return found


def check(events: list[Event]) -> list[Event]:
    """Apply the rules that types cannot say; naive times become UTC.

    Raises:
        kernel.errors.Invalid: some event breaks a rule; all of them are named.
        kernel.errors.TooLarge: more than :data:`LARGEST_BATCH` events.
    """
    if len(events) > LARGEST_BATCH:
        raise TooLarge(f"A batch holds at most {LARGEST_BATCH} events.")
    faults: list[FieldError] = []
    for place, event in enumerate(events):
        time = event.time
        if time is not None and time.tzinfo is None:
            event.time = time.replace(tzinfo=UTC)
        if (
            bytes(event.data)[:1] not in {b"{", b"n"}
            or event.specversion != "1.0"
            or event.datacontenttype is not None
        ):
            faults += _faults(place, event)
    if faults:
        raise invalid(faults)
    return events


def _faults(place: int, event: Event) -> list[FieldError]:
    found = []
    if event.specversion != "1.0":
        found.append(FieldError(f"/{place}/specversion", "invalid", "specversion must be 1.0."))
    if bytes(event.data)[:1] not in {b"{", b"n"}:
        found.append(FieldError(f"/{place}/data", "invalid", "data must be a JSON object or null."))
    media = "" if event.datacontenttype is None else media_type(event.datacontenttype)[0]
    if event.datacontenttype is not None and media not in _JSON_TYPES:
        message = "datacontenttype must be application/json."
        found.append(FieldError(f"/{place}/datacontenttype", "invalid", message))
    return found


def invalid(faults: list[FieldError]) -> Invalid:
    """Make the error of a refused body, with every fault at its place."""
    detail = faults[0].message if len(faults) == 1 else f"{len(faults)} events or fields are wrong."
    return Invalid(detail, code="invalid_event", errors=faults)


def media_type(content_type: str) -> tuple[str, str]:
    """Split a Content-Type header into media type and charset, both in lower case."""
    if ";" not in content_type:
        return content_type.strip().lower(), ""
    message = Message()
    message["content-type"] = content_type
    return message.get_content_type(), str(message.get_param("charset", "")).lower()


def _binary(body: bytes, media: str, headers: Mapping[str, str]) -> Event:
    """Read binary mode: attributes in percent-encoded headers, the body is the data."""
    attributes: dict[str, Any] = {name: unquote(value) for name, value in headers.items()}
    if body:
        if media not in _JSON_TYPES:
            raise UnsupportedMediaType("The data of an event is read as application/json only.")
        attributes["data"] = _strict(body)
    return _decode(_one, msgspec.json.encode(attributes))


def _decode(decoder: "msgspec.json.Decoder[S]", body: bytes) -> S:
    """Decode, and once more with NaN and infinities as text where JSON itself is the fault."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid([_field_error(error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return decoder.decode(_lenient(body))
        except msgspec.ValidationError as error:
            raise invalid([_field_error(error)]) from None


def _strict(body: bytes) -> msgspec.Raw:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(_lenient(body))
    return msgspec.Raw(body)


def _lenient(body: bytes) -> bytes:
    """Rewrite NaN and infinities, which Python's encoder emits, as strings; keep all else exact.

    Such a value is accepted, listed and explained, and not counted. Numbers keep their text.
    """
    try:
        loose = json.loads(body, parse_constant=str, parse_float=_verbatim, parse_int=_verbatim)
        return msgspec.json.encode(loose)
    except (ValueError, RecursionError, TypeError) as error:
        fault = FieldError("", "invalid_json", f"The body is not JSON: {error}.")
        raise invalid([fault]) from None


def _verbatim(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _field_error(error: msgspec.ValidationError) -> FieldError:
    """Turn msgspec's ``… - at `$[3].id``` into a JSON pointer and a sentence."""
    message, _, place = str(error).partition(" - at `$")
    pointer = place.rstrip("`").replace("[", "/").replace("]", "").replace(".", "/")
    return FieldError(pointer, "invalid", f"{message}.")
