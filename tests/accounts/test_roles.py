"""The built-in roles and the default of keys name permissions that exist."""

import pytest

from accounts.permissions import DEFAULT_KEY_PERMISSIONS
from accounts.roles import BUILT_IN
from kernel.authz import missing, permits, registry
from tests.guests import call, new_guest

REGISTERED = [permission.name for permission in registry.all()]


@pytest.mark.parametrize("role", BUILT_IN.values(), ids=list(BUILT_IN))
def test_role__each_grant__covers_a_registered_permission(role):
    empty = [
        grant
        for grant in role.permissions
        if not any(permits({grant}, name) for name in REGISTERED)
    ]

    assert empty == []


def test_default_of_keys__always__is_registered_and_manages_nothing():
    assert [name for name in DEFAULT_KEY_PERMISSIONS if name not in REGISTERED] == []
    assert [
        name
        for name in DEFAULT_KEY_PERMISSIONS
        if name.split(":")[1] not in {"read", "verify", "consume", "write"}
    ] == []


def test_owner__always__has_everything():
    assert missing(BUILT_IN["owner"].permissions, REGISTERED) == []


def test_auditor__always__only_reads():
    granted = [name for name in REGISTERED if permits(BUILT_IN["auditor"].permissions, name)]

    assert [name for name in granted if not name.endswith(":read")] == []


def test_roles_route__lists_all_with_their_permissions():
    found = call("GET", "roles", new_guest().key).body

    assert [role["key"] for role in found["items"]] == list(BUILT_IN)
    assert found["items"][0]["permissions"] == ["*:*"]
    assert found["next"] is None
