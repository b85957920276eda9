"""Whose address counts."""

import pytest

from kernel.http import client

REMOTE = "10.0.0.1"


@pytest.fixture(autouse=True)
def proxies(settings):
    settings.INNKEEPER_TRUSTED_PROXIES = ["10.0.0.0/8"]
    client.trusted.cache_clear()
    yield
    client.trusted.cache_clear()


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not from a proxy: a claim
        (REMOTE, "", REMOTE),
        (REMOTE, "198.51.100.1", "198.51.100.1"),
        (REMOTE, "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # leftmost is the client's own claim
        (REMOTE, "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        (REMOTE, "10.0.0.8, 10.0.0.7", REMOTE),
        (REMOTE, "198.51.100.1, nonsense", REMOTE),
        ("", "198.51.100.1", None),
        ("::1", "", "::1"),
        (REMOTE, "2001:DB8:0::1", "2001:db8::1"),  # one spelling: addresses are counted by
        ("fe80::1%eth0", "", "fe80::1"),  # a zone means nothing elsewhere, PostgreSQL included
    ],
)
def test_client_ip__chain__rightmost_untrusted(remote, forwarded, expected):
    assert client.client_ip(remote, forwarded) == expected
