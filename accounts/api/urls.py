"""Routes of the accounts app, below ``/api/v1/``."""

from django.urls import URLPattern, URLResolver, path

from accounts.api.verify import VerifyKey

urlpatterns: list[URLPattern | URLResolver] = [
    path("keys/verify", VerifyKey.as_view(), name="keys-verify"),
]
