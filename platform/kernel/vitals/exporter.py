"""The worker's own ``/metrics``: it serves no requests, so that Prometheus needs another door."""

import threading

from django.conf import settings
from prometheus_client import REGISTRY, start_http_server

from kernel.vitals.background import Background


def run(stop: threading.Event) -> None:
    """Answer scrapes at INNKEEPER_WORKER_METRICS until told to stop; a service of the worker.

    Raises:
        OSError: the address is taken or not of this machine.
    """
    host, _, port = settings.INNKEEPER_WORKER_METRICS.rpartition(":")
    collector = Background()
    # Before the door opens, so that the first scrape misses nothing.
    REGISTRY.register(collector)
    try:
        server, thread = start_http_server(int(port), host)
        try:
            stop.wait()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
    finally:
        REGISTRY.unregister(collector)
