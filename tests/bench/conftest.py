"""A stub server as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

StartStub = Callable[..., int]


@pytest.fixture
def stub() -> Iterator[StartStub]:
    """Starts stub servers; the call returns the port."""
    running: list[subprocess.Popen[str]] = []

    def start(**plan: float) -> int:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stub_server.py")), json.dumps(plan)],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
