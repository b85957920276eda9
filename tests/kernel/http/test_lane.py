"""The fast lane keeps the door that Django's middleware keeps for all others."""

import io
import json

from kernel.http.lane import FastLane
from kernel.http.soundness import LARGEST_HEAD
from tests.kernel.http.toy import HotThings


def ask(**more):
    """Ask the lane as a server does; give status and document."""
    said = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/hot/things",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(),
        **more,
    }
    lane = FastLane(lambda environ, start: [], {"hot/things": HotThings})
    body = b"".join(lane(environ, lambda status, headers: said.append(status)))
    return said[0], json.loads(body)


def test_lane__head_longer_than_accepted__431_before_the_gate_is_asked():
    status, document = ask(HTTP_X_LONG="x" * LARGEST_HEAD)
    assert (status, document["code"]) == ("431 Request Header Fields Too Large", "head_too_large")


def test_lane__long_head_that_fits__meets_the_gate(database):
    status, document = ask(HTTP_X_LONG="x" * (LARGEST_HEAD - 2000))
    assert (status, document["code"]) == ("401 Unauthorized", "missing_credential")
