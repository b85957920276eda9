"""A tenant and an operator's key for each test of usage."""

from collections.abc import Iterator

import pytest

from tests.billing.house import House, make_house, make_key, serving
from tests.billing.usage.door import Queue


@pytest.fixture
def house() -> House:
    """A tenant without limits, with a key that may do everything."""
    return make_house("enterprise")


@pytest.fixture(scope="session")
def platform_key(session_database) -> str:
    """A key of the operator's."""
    return make_key()


@pytest.fixture
def queue() -> Iterator[Queue]:
    """A door behind which events gather."""
    made = Queue()
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(session_database):
    """The application, served on loopback."""
    with serving() as base:
        yield base
