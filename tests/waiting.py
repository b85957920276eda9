"""Waiting for what happens beside a test, never longer than it may take."""

import time
from collections.abc import Callable
from typing import Final

LONGEST_S: Final = 30.0
_PAUSE_S: Final = 0.01


def until(what: str, condition: Callable[[], object], seconds: float = LONGEST_S) -> None:
    """Look again and again until the condition holds.

    Raises:
        AssertionError: it did not in time; ``what`` says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s until {what}"
        time.sleep(_PAUSE_S)
