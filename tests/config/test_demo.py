"""The demo: made once, kept while it holds, mended where it does not."""

import json
import stat
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts import queries
from accounts.models import User
from accounts.services import keys
from billing.usage.models import Meter
from kernel.gate.keys import parse
from tenants.models import Tenant
from tests.guests import call, inside, system


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "demo.json"


def seed(file: Path) -> dict:
    call_command("seed_demo", output=file, verbosity=0)
    return json.loads(file.read_text())


def test_seed__first_time__makes_a_tenant_of_each_plan_with_a_key_that_holds(file):
    demo = seed(file)

    assert [tenant["plan"] for tenant in demo["tenants"]] == ["basic", "professional", "enterprise"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for tenant in demo["tenants"]:
        found = call("GET", "tenant", tenant["key"]).body
        assert (found["id"], found["slug"], found["plan"]) == (
            tenant["id"],
            tenant["slug"],
            tenant["plan"],
        )
    assert call("GET", "admin/tenants", demo["platform_key"]).status == 200


def test_seed__enterprise__has_no_limits_and_basic_has_the_plans(file):
    demo = seed(file)

    limits = {
        tenant["plan"]: call(
            "POST", "keys/verify", demo["platform_key"], {"key": tenant["key"]}
        ).body["limits"]
        for tenant in demo["tenants"]
    }

    assert limits["enterprise"] == []
    assert {"burst", "daily"} <= {limit["name"] for limit in limits["basic"]}


def test_seed__again__changes_neither_the_file_nor_the_data(file):
    seed(file)
    before = file.read_bytes()

    seed(file)

    assert file.read_bytes() == before
    with system():
        assert Tenant.objects.filter(slug__startswith="demo-").count() == 3
        assert Meter.objects.filter(slug="tokens_total", deleted_at=None).count() == 1


def test_seed__again__keeps_what_the_launcher_added(file):
    demo = seed(file)
    demo |= {"base_url": "http://127.0.0.1:8000"}
    demo["admin"]["url"] = "http://127.0.0.1:8000/admin/"
    file.write_text(json.dumps(demo))

    assert seed(file) == demo


def test_seed__a_key_was_revoked__makes_that_one_anew(file):
    before = seed(file)
    basic = before["tenants"][0]
    with system():
        tenant = Tenant.objects.get(slug=basic["slug"])
    with inside(tenant.id):
        keys.revoke(key_of(basic["key"]))

    after = seed(file)

    assert after["tenants"][0]["key"] != basic["key"]
    assert call("GET", "tenant", after["tenants"][0]["key"]).status == 200
    assert after["tenants"][1:] == before["tenants"][1:]
    assert after["platform_key"] == before["platform_key"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_seed__file_is_lost_or_damaged__ends_the_old_keys_and_makes_new_ones(file, content):
    before = seed(file)
    file.write_text(content)

    after = seed(file)

    assert call("GET", "tenant", before["tenants"][0]["key"]).status == 401
    assert call("GET", "tenant", after["tenants"][0]["key"]).status == 200
    assert call("GET", "admin/tenants", before["platform_key"]).status == 401


def test_seed__password_was_changed__makes_a_new_one(file):
    before = seed(file)["admin"]
    with system():
        user = User.objects.get(email=before["username"])
        user.set_password("somebody else's password")
        user.save()

    after = seed(file)["admin"]

    with system():
        user.refresh_from_db()
    assert after["password"] != before["password"]
    assert user.check_password(after["password"])


def key_of(text: str):
    """Find the key's id by its public part."""
    public_id, _ = parse(text)
    return queries.keys.listed().get(public_id=public_id).id
