"""Features over HTTP."""

import pytest

from tests.billing.house import call, make_house, make_key

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def key(session_database):
    session_database.ensure()
    return make_house().key


def test_features__without_page__are_an_array_by_key(key):
    keys = [feature["key"] for feature in call(key, "GET", "v1/features")]

    assert keys == sorted(keys)
    assert {"api_requests", "seats", "sso"} <= set(keys)


def test_features__with_page__are_an_object_with_the_total(key):
    answer = call(key, "GET", "v1/features?page=2&pageSize=5")

    assert (answer["page"], answer["pageSize"], len(answer["items"])) == (2, 5, 5)
    assert answer["totalCount"] >= 12


def test_features__of_a_meter__are_those_that_count_it(key):
    answer = call(key, "GET", "v1/features?meterSlug=processed_units&meterSlug=nothing")

    assert [feature["key"] for feature in answer] == ["processed_units"]


def test_feature__by_id_and_by_key__is_the_same(key):
    by_key = call(key, "GET", "v1/features/processed_units")

    assert by_key["meterSlug"] == "processed_units"
    assert call(key, "GET", f"v1/features/{by_key['id']}") == by_key


def test_feature__unknown__is_404(key):
    call(key, "GET", "v1/features/nothing", status=404)


def test_features__platform_key__reads_the_same_catalogue(key):
    assert call(make_key(), "GET", "v1/features") == call(key, "GET", "v1/features")


def test_features__key_without_the_permission__is_403():
    call(make_key(make_house().id, ("plans:read",)), "GET", "v1/features", status=403)
