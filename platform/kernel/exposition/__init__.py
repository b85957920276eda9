"""What ``GET /metrics`` says: the Prometheus text format 0.0.4, of one process or of many.

``prometheus_client`` makes an object of each sample, checks its name and escapes its labels, at
every scrape; of several processes it also parses each sample's name from JSON again. Most of a page
is histograms whose names never change and whose values mostly have not: here what stands around
values is made once, and a series is written anew only when it changed. 300 routes that had all been
asked since took 75 ms of the processor, and 40 without a directory; now 3.6 and 5.3. What a page
says is what upstream's says, which tests/kernel/exposition compares.
"""

import os
import threading

from prometheus_client import REGISTRY

from kernel.exposition.files import Shared
from kernel.exposition.own import Own

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_lock = threading.Lock()
_own = Own(REGISTRY)
_shared: dict[str, Shared] = {}


def page() -> bytes:
    """Write the metrics of this process, or of all processes that share the metrics directory."""
    directory = os.environ.get(MULTIPROCESS)
    with _lock:  # one page is made at a time: what was written before is kept between them
        if not directory:
            return _own.page()
        if directory not in _shared:
            _shared.clear()
            _shared[directory] = Shared(directory)
        return _shared[directory].page()
