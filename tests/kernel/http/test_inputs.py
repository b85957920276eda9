"""Bodies with known members only, and ids out of paths."""

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from kernel import ids
from kernel.errors import NotFound
from kernel.http.inputs import Input, ReasonInput, identifier, tenant_id
from kernel.http.problem import flatten


class Form(Input):
    name = serializers.CharField()
    size = serializers.IntegerField(required=False)


def read(data):
    form = Form(data=data)
    form.is_valid(raise_exception=True)
    return form.validated_data


def test_body__known_members__leaves_absent_ones_absent():
    assert read({"name": "x"}) == {"name": "x"}


def test_body__unknown_members__names_each():
    with pytest.raises(ValidationError) as refused:
        read({"name": "x", "tenant_id": 1, "a/b": 2})

    faults = [(fault.pointer, fault.code) for fault in flatten(refused.value.detail, "")]
    assert faults == [("/tenant_id", "unknown_member"), ("/a~1b", "unknown_member")]


@pytest.mark.parametrize("data", [[], "name", 7, None])
def test_body__no_object__is_refused(data):
    with pytest.raises(ValidationError):
        read(data)


def test_reason__longer_than_kept__is_refused():
    assert not ReasonInput(data={"reason": "x" * 501}).is_valid()


def test_identifier__other_kind_or_text__is_not_found_with_the_given_code():
    value = ids.new_id()

    assert tenant_id(ids.encode("ten", value)) == value
    for text in (ids.encode("key", value), str(value), "acme", ""):
        with pytest.raises(NotFound) as refused:
            identifier("ten", text, "There is no such tenant.", code="tenant_not_found")
        assert refused.value.code == "tenant_not_found"
