"""Decoding CloudEvents: content types, limits, faults, all without a database."""

import json
from datetime import UTC, datetime

import pytest

from billing.usage.cloudevents import LARGEST_BATCH, LONGEST, decode, media_type
from kernel.errors import Invalid, TooLarge, UnsupportedMediaType

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
EVENT = {
    "id": "e1",
    "source": "svc",
    "specversion": "1.0",
    "type": "prompt",
    "subject": "alice",
    "time": "2026-03-01T10:00:00.123456Z",
    "data": {"tokens": 12},
}


def body(value) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("content_type", "sent", "count"),
    [
        (SINGLE, EVENT, 1),
        (BATCH, [EVENT, EVENT], 2),
        (BATCH, [], 0),
        ("application/json", EVENT, 1),
        ("application/json", [EVENT, EVENT, EVENT], 3),
        ("application/json; charset=utf-8", EVENT, 1),
        ('Application/CloudEvents+JSON; charset="UTF-8"', EVENT, 1),
    ],
)
def test_decode__content_type__decides_the_shape(content_type, sent, count):
    assert len(decode(body(sent), content_type)) == count


def test_decode__event__keeps_every_attribute():
    event = decode(body(EVENT | {"dataschema": "urn:s"}), SINGLE)[0]

    assert (event.id, event.source, event.type, event.subject) == ("e1", "svc", "prompt", "alice")
    assert event.time == datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert event.dataschema == "urn:s"
    assert json.loads(bytes(event.data)) == {"tokens": 12}


def test_decode__large_numbers__keep_their_text():
    raw = body(EVENT).replace(b": 12}", b": 12345678901234567890.000000001}")

    assert b"12345678901234567890.000000001" in bytes(decode(raw, SINGLE)[0].data)


def test_decode__naive_time__is_utc():
    event = decode(body(EVENT | {"time": "2026-03-01T10:00:00"}), SINGLE)[0]

    assert event.time == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("missing", ["specversion", "time", "data"])
def test_decode__optional_attribute_missing__has_its_default(missing):
    sent = {name: value for name, value in EVENT.items() if name != missing}

    event = decode(body(sent), SINGLE)[0]

    assert event.specversion == "1.0"
    assert (event.time is None) == (missing == "time")
    assert (bytes(event.data) == b"null") == (missing == "data")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"id": 5}, "/id"),
        ({"source": "x" * (LONGEST + 1)}, "/source"),
        ({"subject": ""}, "/subject"),
        ({"type": None}, "/type"),
        ({"time": "yesterday"}, "/time"),
        ({"specversion": "0.3"}, "/0/specversion"),
        ({"data": [1]}, "/0/data"),
        ({"data": "text"}, "/0/data"),
        ({"data": 5}, "/0/data"),
        ({"datacontenttype": "text/xml"}, "/0/datacontenttype"),
    ],
)
def test_decode__faulty_attribute__is_refused_at_its_place(change, pointer):
    with pytest.raises(Invalid) as refused:
        decode(body(EVENT | change), SINGLE)

    assert [fault.pointer for fault in refused.value.errors] == [pointer]
    assert refused.value.code == "invalid_event"


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
def test_decode__required_attribute_missing__is_refused(name):
    sent = {key: value for key, value in EVENT.items() if key != name}

    with pytest.raises(Invalid, match=name):
        decode(body(sent), SINGLE)


def test_decode__faults_in_a_batch__are_all_named():
    with pytest.raises(Invalid) as refused:
        decode(body([EVENT, EVENT | {"data": 1}, EVENT | {"data": "x"}]), BATCH)

    assert [fault.pointer for fault in refused.value.errors] == ["/1/data", "/2/data"]


def test_decode__datacontenttype_with_parameter__is_accepted():
    sent = EVENT | {"datacontenttype": "application/json; charset=utf-8"}

    assert len(decode(body(sent), SINGLE)) == 1


@pytest.mark.parametrize(
    ("value", "kept"), [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity")]
)
def test_decode__not_a_number__is_kept_as_text(value, kept):
    raw = body(EVENT).replace(b": 12}", b": " + value.encode() + b"}")

    assert json.loads(bytes(decode(raw, SINGLE)[0].data)) == {"tokens": kept}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"id": "\\ud800"}'])
def test_decode__broken_json__is_refused(raw):
    with pytest.raises(Invalid):
        decode(raw, SINGLE)


def test_decode__array_where_one_event_is_announced__is_refused():
    with pytest.raises(Invalid):
        decode(body([EVENT]), SINGLE)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml"])
def test_decode__other_content_type__is_refused(content_type):
    with pytest.raises(UnsupportedMediaType):
        decode(body(EVENT), content_type)


def test_decode__other_charset__is_refused():
    with pytest.raises(UnsupportedMediaType, match="latin"):
        decode(body(EVENT), f"{SINGLE}; charset=latin-1")


def test_decode__too_many_events__are_refused():
    with pytest.raises(TooLarge):
        decode(body([EVENT] * (LARGEST_BATCH + 1)), BATCH)


def test_decode__binary_mode__reads_headers_and_body():
    headers = {"id": "b-1", "source": "svc%20one", "specversion": "1.0"}
    headers |= {"type": "prompt", "subject": "m%C3%BCller", "time": "2026-03-01T10:00:00Z"}

    event = decode(b'{"tokens": 3}', "application/json", headers)[0]

    assert (event.id, event.source, event.subject) == ("b-1", "svc one", "müller")
    assert bytes(event.data) == b'{"tokens":3}' or bytes(event.data) == b'{"tokens": 3}'


def test_decode__binary_mode_without_body__has_no_data():
    headers = {"id": "1", "source": "s", "type": "t", "subject": "x"}

    assert bytes(decode(b"", "", headers)[0].data) == b"null"


def test_decode__binary_mode_with_other_data__is_refused():
    with pytest.raises(UnsupportedMediaType):
        decode(b"<x/>", "text/xml", {"id": "1", "source": "s", "type": "t", "subject": "x"})


def test_media_type__parameters__are_split_off():
    assert media_type('a/B ; Charset="UTF-8"; x=1') == ("a/b", "utf-8")
