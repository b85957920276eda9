"""Routes of the billing app, below /api/v1/."""

from django.urls import URLPattern, URLResolver

from billing.usage.api.urls import urlpatterns as usage

urlpatterns: list[URLPattern | URLResolver] = [*usage]
