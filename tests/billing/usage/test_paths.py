"""The JSONPath subset of meters."""

import pytest

from billing.usage.paths import parse
from kernel.errors import Invalid


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$.tokens", ["tokens"]),
        ("$.usage.total", ["usage", "total"]),
        ("$['a b']", ["a b"]),
        ('$["a.b"].c', ["a.b", "c"]),
        ("$.list[0].x", ["list", "0", "x"]),
        (r"$['it\'s']", ["it's"]),
    ],
)
def test_parse__path__gives_its_steps(path, steps):
    assert parse(path, "/p") == steps


@pytest.mark.parametrize("path", ["", "$", "tokens", "$.", "$..a", "$.a b", "$[*]", "$.a[", "$x.a"])
def test_parse__anything_else__is_refused_at_its_field(path):
    with pytest.raises(Invalid) as refused:
        parse(path, "/valueProperty")

    assert refused.value.errors[0].pointer == "/valueProperty"
