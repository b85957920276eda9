"""The webhooks app: inbound sources and outbound endpoints (a later landing fills it)."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Registers the app under its name."""

    name = "webhooks"
