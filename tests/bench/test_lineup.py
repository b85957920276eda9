"""What is measured is a system at rest, not its start."""

import itertools

import pytest

from bench import processes
from bench.systems import lineup


@pytest.fixture
def used(monkeypatch):
    """Let the processes have used so much CPU at each look; the last pace goes on for ever."""

    def told(*seconds: float) -> list[float]:
        looks: list[float] = []
        pace = seconds[-1] - seconds[-2]
        following = itertools.chain(seconds, itertools.count(seconds[-1] + pace, pace))

        def look(*_: int) -> float:
            looks.append(next(following))
            return looks[-1]

        monkeypatch.setattr(processes, "cpu_seconds", look)
        return looks

    monkeypatch.setattr(lineup, "LOOK_S", 0.001)
    monkeypatch.setattr(lineup, "SETTLE_S", 0.05)
    return told


def test_at_rest__start_that_ends__is_waited_for(used):
    looks = used(0.0, 1.0, 1.0, 1.9, 1.9, 1.95)

    assert lineup._at_rest((1,))
    assert looks == [0.0, 1.0, 1.0, 1.9, 1.9, 1.95]


def test_at_rest__work_without_end__is_told(used):
    used(0.0, 1.0)

    assert not lineup._at_rest((1,))
