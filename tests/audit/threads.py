"""Work on connections of its own, as another process would do it."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connections


def beside(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Begin the work; give its thread, and the list that will hold what it returned."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def elsewhere(work: Callable[[], Any]) -> Any:
    """Do the work and give what it returned."""
    thread, outcome = beside(work)
    thread.join()
    return outcome[0]
