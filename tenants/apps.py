"""The tenants app."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Registers the app under its name."""

    name = "tenants"
