"""What a start says of demo tenants that are not let in."""

import json
import shlex

import pytest

from config.launcher import demo
from config.launcher.probe import LOST, Probe
from tests.guests import call, new_guest, operator_key


@pytest.fixture
def probe(monkeypatch) -> Probe:
    """A probe whose questions reach the application without a socket."""

    def ask(self, method, path, headers, body):
        answer = call(method, path, headers["Authorization"].partition(" ")[2], json.loads(body))
        return answer.status, answer.body if answer.status == 200 else {}

    monkeypatch.setattr(Probe, "_ask", ask)
    return Probe("http://demo.example")


def demo_of(*guests, platform_key=None):
    tenants = [
        {"id": guest.public_id, "slug": guest.slug, "plan": "basic", "key": guest.key}
        for guest in guests
    ]
    return {
        "base_url": "http://demo.example",
        "platform_key": platform_key or operator_key(),
        "tenants": tenants,
    }


def pasted(remark: str):
    """Run the line of a remark."""
    words = shlex.split(remark.splitlines()[-1])
    assert words[:4] == ["curl", "-s", "-X", "POST"]
    path = words[4].removeprefix("http://demo.example")
    return call("POST", path, words[6].removeprefix("Authorization: Bearer "))


@pytest.mark.parametrize(
    ("verb", "said"),
    [("suspend", "is suspended: its key is refused with 403"), ("close", "is closed")],
)
def test_remarks__tenant_not_let_in__say_so_and_how_to_restore_it(probe, verb, said):
    fine, refused = new_guest(), new_guest()
    shown = demo_of(fine, refused)
    call("POST", f"admin/tenants/{refused.public_id}/{verb}", shown["platform_key"])

    [remark] = demo.remarks(shown, probe.states(shown))

    assert remark.startswith(f"{refused.slug} {said}")
    assert pasted(remark).status == 200
    assert demo.remarks(shown, probe.states(shown)) == []


def test_states__platform_key_refused__are_all_lost(probe):
    shown = demo_of(new_guest(), platform_key="ikp_live_lost")

    assert set(probe.states(shown).values()) <= LOST
