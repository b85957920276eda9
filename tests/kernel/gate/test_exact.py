"""Exactness under concurrency: 64 clients on one limit, and never one too many."""

import threading
from collections import Counter

from kernel.gate.admission import Question, verify
from kernel.gate.projection import Burst
from kernel.gate.wire import HotConnection
from tests.kernel.gate.credentials import make_key, make_tenant

CLIENTS = 64
CALLS = 20


def hammer(platform, key, clients=CLIENTS, calls=CALLS) -> Counter:
    codes: Counter = Counter()
    lock = threading.Lock()
    start = threading.Barrier(clients)

    def client():
        wire = HotConnection()
        start.wait()
        found = Counter(
            verify(wire, platform.text, Question(key.text), ip=None, permission="keys:verify").code
            for _ in range(calls)
        )
        wire.close()
        with lock:
            codes.update(found)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes


def test_daily_limit__64_clients__admits_exactly_the_limit(database):
    key = make_key(make_tenant(daily=1000))
    assert hammer(make_key(), key) == {"VALID": 1000, "USAGE_EXCEEDED": CLIENTS * CALLS - 1000}


def test_burst_limit__64_clients__admits_no_more_than_depth_and_elapsed(database):
    key = make_key(make_tenant(burst=Burst(rate=1, depth=50)))
    codes = hammer(make_key(), key, calls=4)
    assert codes["VALID"] + codes["RATE_LIMITED"] == CLIENTS * 4
    assert 50 <= codes["VALID"] <= 50 + 60
