"""The first requests of a process come together: what they make, they make once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from kernel import metrics


def test_metrics__of_first_requests_together__are_registered_once(monkeypatch):
    made = []

    class Slow:
        kept = None

        @classmethod
        def get_instance(cls):
            if cls.kept is None:
                time.sleep(0.01)  # as long as registering takes
                made.append(cls)
                cls.kept = cls()
            return cls.kept

    monkeypatch.setattr(metrics, "Metrics", Slow)
    metrics._metrics.cache_clear()
    together = threading.Barrier(8)

    def first(_):
        together.wait()
        return metrics._metrics()

    try:
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(first, range(8)))
    finally:
        metrics._metrics.cache_clear()
    assert (len(made), len(found)) == (1, 1)
