"""Exact numbers of requests from many clients."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.load import counted
from bench.load.wire import UNIQUE, Request

pytestmark = pytest.mark.serial  # times real processes


def test_run__limited_server__tallies_to_the_unit(stub: Callable[..., int]) -> None:
    request = Request("POST", "/", {}, f'{{"code":"VALID","id":"{UNIQUE}"}}')
    tally = counted.run(
        "127.0.0.1", stub(refuse_after=50), request, requests=80, clients=8, processes=2
    )
    assert tally.statuses == {200: 50, 429: 30}
    assert tally.codes == {"VALID": 80}
    assert tally.refusal["retry-after"] == "60"
    assert tally.unanswered == 0


def test_run__broken_connections__are_tallied_apart_and_never_sent_again(
    stub: Callable[..., int],
) -> None:
    port = stub(silent_every=10)
    tally = counted.run(
        "127.0.0.1", port, Request("GET", "/"), requests=100, clients=4, processes=1
    )
    assert (tally.unanswered, tally.statuses) == (10, {200: 90})


def test_run__uneven_share__is_refused() -> None:
    with pytest.raises(ValueError, match="divide evenly"):
        counted.run("h", 1, Request("GET", "/"), requests=10, clients=4, processes=4)
