"""A tenant and an operator's key for each test of usage."""

import pytest

from tests.billing.house import House, make_house, make_key, serving


@pytest.fixture
def house() -> House:
    """A tenant without limits, with a key that may do everything."""
    return make_house("enterprise")


@pytest.fixture(scope="session")
def platform_key(session_database) -> str:
    """A key of the operator's."""
    return make_key()


@pytest.fixture(scope="module")
def address(session_database):
    """The application, served on loopback."""
    with serving() as base:
        yield base
