"""The limit of failed authentications: exact, by network, forgotten in time."""

import ipaddress
import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from kernel import db
from kernel.gate import failures
from kernel.gate.failures import Refused, network_of
from kernel.gate.wire import HotConnection
from kernel.ids import new_id

HOUR_US = 3_600_000_000


def unused_network() -> str:
    """An IPv6 /64 of nobody else."""
    half = new_id().int & (2**64 - 1)
    return str(ipaddress.IPv6Network((half << 64, 64)))


def count(network: str, depth: int, interval_us: int = HOUR_US) -> int:
    sql = "SELECT gate.count_failure($1::cidr, $2::bigint, $3::bigint)"
    return int(db.rows(sql, [network, interval_us, depth])[0][0])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (None, "0.0.0.0/32"),
    ],
)
def test_network_of__address__is_itself_or_its_64(address, network):
    assert network_of(address) == network


def test_count__over_the_limit__says_how_long_to_wait(database):
    network = unused_network()
    assert [count(network, 3) for _ in range(3)] == [0, 0, 0]
    waits = [count(network, 3) for _ in range(2)]
    # What is over the limit is not counted: the wait gets shorter, never longer.
    assert HOUR_US >= waits[0] >= waits[1] > 0


def test_count__other_network__is_not_touched(database):
    first, second = unused_network(), unused_network()
    assert [count(first, 1), count(second, 1)] == [0, 0]
    assert count(first, 1) > 0


def test_count__many_at_once__admits_exactly_the_limit(database):
    network = unused_network()
    outcomes: list[bool] = []
    together = threading.Barrier(8)

    def fail() -> None:
        wire = HotConnection()
        together.wait()
        try:
            for _ in range(10):
                values = [network.encode(), str(HOUR_US).encode(), b"5"]
                outcomes.append(wire.row(failures._COUNT, values)[0] == b"0")
        finally:
            wire.close()

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {True: 5, False: 75}


def test_forget__limit_has_passed__row_is_gone_and_others_stay(database):
    past, standing = unused_network(), unused_network()
    count(past, 5, interval_us=0)
    count(standing, 5)
    with db.use_alias("staff"):
        assert failures.forget() >= 1
    with db.use_alias("owner"):
        left = db.rows(
            "SELECT network::text FROM gate.failure WHERE network = ANY ($1::cidr[])",
            [[past, standing]],
        )
    assert left == [(standing,)]


def test_refused__remembered__is_known_without_asking_for_a_second(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(failures, "time", SimpleNamespace(monotonic=lambda: now[0]))
    refused = Refused()
    assert refused.wait_s("192.0.2.1/32") == 0
    refused.remember("192.0.2.1/32", 30.0)
    now[0] += 0.5
    assert refused.wait_s("192.0.2.1/32") == 29.5
    assert refused.wait_s("192.0.2.2/32") == 0
    now[0] += 0.5
    assert refused.wait_s("192.0.2.1/32") == 0
