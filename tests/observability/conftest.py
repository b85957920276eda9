"""The URL map as metrics name it."""

import pytest
from django.urls import URLPattern, get_resolver


def _routes(patterns, prefix=""):
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route
        else:
            yield from _routes(entry.url_patterns, route)


@pytest.fixture(scope="session")
def django_routes():
    return set(_routes(get_resolver().url_patterns))
