"""Permissions: names, wildcards, the registry; the SQL twin agrees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import db
from kernel.authz import Permission, Registry, missing, permits

SEGMENTS = st.sampled_from(["a", "b", "*"])
GRANTS = st.lists(st.builds("{}:{}".format, SEGMENTS, SEGMENTS), max_size=4)
WANTED = st.builds("{}:{}".format, st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"]))


def reference(granted, wanted):
    resource, action = wanted.split(":")
    return any(
        r in (resource, "*") and a in (action, "*") for r, a in (g.split(":") for g in granted)
    )


@given(GRANTS, WANTED)
def test_permits__any_grants__equals_the_definition(granted, wanted):
    assert permits(granted, wanted) == reference(granted, wanted)


def test_permits__in_sql__equals_the_definition(database):
    pairs = [
        (granted, f"{r}:{a}")
        for granted in (["a:a"], ["a:*"], ["*:a"], ["*:*"], [], ["b:b", "a:b"])
        for r in "ab"
        for a in "ab"
    ]
    with db.use_alias("owner"), db.cursor() as cursor:
        for granted, wanted in pairs:
            cursor.execute("SELECT gate.permits(%s::text[], %s)", [granted, wanted])
            assert cursor.fetchone()[0] == reference(granted, wanted), (granted, wanted)


def test_missing__some_covered__lists_the_rest_in_order():
    assert missing({"a:*"}, ["b:x", "a:y", "c:z"]) == ["b:x", "c:z"]


@pytest.mark.parametrize("name", ["", "keys", "keys:*", "*:read", "Keys:read", "a:b:c", "a b:c"])
def test_register__malformed__refused(name):
    with pytest.raises(ValueError, match="is not resource:action"):
        Registry().register(Permission(name, "x"))


def test_register__twice__refused():
    registry = Registry()
    registry.register(Permission("a:b", "x"))
    with pytest.raises(ValueError, match="registered twice"):
        registry.register(Permission("a:b", "y"))
    assert "a:b" in registry
