import pytest
from django.test import Client, override_settings

from tests.kernel.gate.credentials import make_key, make_tenant


@pytest.fixture
def client(database):
    with override_settings(ROOT_URLCONF="tests.kernel.http.toy"):
        yield Client(raise_request_exception=False)


@pytest.fixture
def tenant(database):
    return make_tenant(daily=1000)


@pytest.fixture
def bearer(tenant):
    return {"Authorization": f"Bearer {make_key(tenant).text}"}


@pytest.fixture
def platform_bearer(database):
    return {"Authorization": f"Bearer {make_key(permissions=['*:*']).text}"}
