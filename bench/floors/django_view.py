"""Bare Django: the handler and one plain view, no middleware, no database."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="loopback-only",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    LOGGING_CONFIG=None,
)


def view(request: HttpRequest) -> HttpResponse:
    """Answer a constant."""
    return HttpResponse(b'{"status":"ok"}', content_type="application/json")


urlpatterns = [path("", view)]
application = get_wsgi_application()
