"""Which addresses customers may give, and where a call may go."""

import ipaddress
import socket

import pytest

from kernel.errors import Invalid
from kernel.outbound import Deadline, Fault, OutboundError, addresses, parse

SCHEMES = ("http", "https", "syslog+tls")
FORBIDDEN = [
    "127.0.0.1", "127.8.9.1", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "168.63.129.16", "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::",
    "fe80::1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2001::1", "::127.0.0.1", "::ffff:0:127.0.0.1", "::10.0.0.1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"]


@pytest.fixture(autouse=True)
def _nothing_opened(settings: object) -> None:
    settings.INNKEEPER_OUTBOUND_TARGETS = []
    settings.INNKEEPER_OUTBOUND_PORTS = [443]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_address__of_a_forbidden_range__is_not_admitted(text: str) -> None:
    assert not addresses.admits(ipaddress.ip_address(text), 443, plain=False)


@pytest.mark.parametrize("text", PUBLIC)
def test_address__public__is_admitted_with_tls_at_listed_ports_only(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert addresses.admits(address, 443, plain=False)
    assert not addresses.admits(address, 443, plain=True)
    assert not addresses.admits(address, 22, plain=False)


@pytest.mark.parametrize(
    ("opened", "address", "port", "expected"),
    [
        ("10.1.0.0/16", "10.1.2.3", 9999, True),
        ("10.1.0.0/16", "::ffff:10.1.2.3", 9999, True),
        ("10.1.0.0/16", "10.2.0.1", 443, False),
        ("10.1.0.0/16:8443", "10.1.2.3", 8443, True),
        ("10.1.0.0/16:8443", "10.1.2.3", 443, False),
        ("fd00::/8", "fd00::5", 1, True),
        ("[fd00::/8]:443", "fd00::5", 443, True),
        ("[fd00::/8]:443", "fd00::5", 80, False),
    ],
)
def test_network__opened_by_the_operator__is_admitted_as_written(
    settings: object, opened: str, address: str, port: int, expected: bool
) -> None:
    settings.INNKEEPER_OUTBOUND_TARGETS = [opened]
    assert addresses.admits(ipaddress.ip_address(address), port, plain=False) is expected


@pytest.mark.parametrize("text", ["ten", "10.1.0.0/99", "10.1.0.0/16:x", "[fd00::/8"])
def test_network__misspelt__is_told_at_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        addresses.read_opened(text)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data", "http://example.org/", "ftp://example.org/",
        "file:///etc/passwd", "gopher://example.org", "https://user:secret@example.org/",
        "https://user@example.org/", "https://example.org:22/", "https://example.org:99999/",
        "https://example.org/#part", "https://exa mple.org/", "https://example.org/\r\nX: y",
        "https://", "example.org", "", "https://[fe80::1%25eth0]/", "https://" + "a" * 2000,
        "https://bücher.example/",
    ],
)  # fmt: skip
def test_parse__shapes_that_are_not_called__are_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(url, SCHEMES)
    assert refused.value.code == "target_refused"
    assert [fault.pointer for fault in refused.value.errors] == ["/url"]


def test_parse__usual_address__keeps_path_query_and_port(settings: object) -> None:
    settings.INNKEEPER_OUTBOUND_PORTS = [443, 8088]
    target = parse("https://Logs.Example.org:8088/in?x=1", SCHEMES)
    assert (target.host, target.port, target.path) == ("logs.example.org", 8088, "/in?x=1")
    assert target.authority == "logs.example.org:8088"
    assert parse("https://logs.example.org", SCHEMES).authority == "logs.example.org"
    assert parse("https://[2606:2800::1]/", SCHEMES).authority == "[2606:2800::1]"


def answering(*found: str) -> object:
    """A resolver that knows these addresses only, and counts how often it is asked."""
    asked = []

    def resolver(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    resolver.asked = asked
    return resolver


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"])
def test_resolve__odd_spellings_of_loopback__are_refused(spelling: str) -> None:
    with pytest.raises(OutboundError) as refused:
        addresses.resolve(spelling, 443, Deadline(5), plain=False)
    assert refused.value.fault in (Fault.ADDRESS_REFUSED, Fault.NAME_UNKNOWN)


def test_resolve__one_forbidden_among_many__refuses_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8", "10.0.0.1"))
    with pytest.raises(OutboundError) as refused:
        addresses.resolve("rebinding.example", 443, Deadline(5), plain=False)
    assert refused.value.fault is Fault.ADDRESS_REFUSED


def test_resolve__public_name__is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = answering("8.8.8.8")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert addresses.resolve("example.org", 443, Deadline(5), plain=False) == "8.8.8.8"
    assert resolver.asked == ["example.org"]


def test_resolve__unknown_name__says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OutboundError) as refused:
        addresses.resolve("nowhere.example", 443, Deadline(5), plain=False)
    assert refused.value.fault is Fault.NAME_UNKNOWN
