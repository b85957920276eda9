"""Which media type answers a header Accept."""

import pytest

from kernel.errors import NotAcceptable
from kernel.http.formats import chosen
from kernel.http.lane import LaneRequest

JSON, CSV = "application/json", "text/csv"


def asked(accept: str | None) -> LaneRequest:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    return LaneRequest(environ if accept is None else environ | {"HTTP_ACCEPT": accept})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("text/csv", CSV),
        ("Text/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("*/*, text/csv", CSV),
        ("text/html, application/json;q=0.9, text/csv;q=0.8", JSON),
        ("text/csv, application/json", CSV),
        ("text/csv;q=0, */*", JSON),
        ("text/html, */*;q=0.1", JSON),
    ],
)
def test_chosen__header__names_the_type_that_answers(accept, expected):
    assert chosen(asked(accept), JSON, CSV) == expected


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "nonsense"])
def test_chosen__nothing_that_we_write__is_refused(accept):
    with pytest.raises(NotAcceptable):
        chosen(asked(accept), JSON, CSV)
