"""The fast lane keeps the door that Django's middleware keeps for all others."""

import io
import json
from typing import ClassVar

import pytest

from kernel.http.hot import HotEndpoint, json_response
from kernel.http.lane import FastLane
from kernel.http.soundness import LARGEST_HEAD
from tests.kernel.http.toy import PUBLIC, HotThings


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
    routes = {"hot/things": HotThings, "hot/<str:thing>/of/<str:owner>": Named}
    lane = FastLane(_elsewhere, routes)
    body = b"".join(lane(environ, lambda status, headers: said.append(status)))
    return said[0], json.loads(body)


def _elsewhere(environ, start_response):
    start_response("200 OK", [])
    return [b'{"served":"elsewhere"}']


class Named(HotEndpoint):
    """Says what its path named."""

    access: ClassVar = {"GET": PUBLIC}

    def get(self, request):
        """Document."""

    @classmethod
    def serve(cls, request, **kwargs):
        return json_response(json.dumps(kwargs).encode())


def test_lane__head_longer_than_accepted__431_before_the_gate_is_asked():
    status, document = ask(HTTP_X_LONG="x" * LARGEST_HEAD)
    assert (status, document["code"]) == ("431 Request Header Fields Too Large", "head_too_large")


def test_lane__long_head_that_fits__meets_the_gate(database):
    status, document = ask(HTTP_X_LONG="x" * (LARGEST_HEAD - 2000))
    assert (status, document["code"]) == ("401 Unauthorized", "missing_credential")


def test_lane__route_with_variables__is_served_with_their_values():
    status, document = ask(PATH_INFO="/hot/a%20b/of/me")
    assert (status, document) == ("200 OK", {"thing": "a%20b", "owner": "me"})


@pytest.mark.parametrize(
    "path",
    ["/hot/a/of/", "/hot//of/me", "/hot/a/of/me/", "/hot/a/b/of/me", "/hot/\xe4/of/me", "/hot/a\n"],
)
def test_lane__path_that_is_not_quite_the_route__is_left_to_django(path):
    assert ask(PATH_INFO=path) == ("200 OK", {"served": "elsewhere"})


def test_lane__nul_in_a_variable__is_400():
    status, document = ask(PATH_INFO="/hot/a\0b/of/me")
    assert (status, document["code"]) == ("400 Bad Request", "malformed_request")
