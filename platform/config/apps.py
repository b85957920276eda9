"""The composition root as Django apps: the admin site, and the binding of ports."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.module_loading import import_string

from audit.registry import registry as actions
from config.actions import ALL as ACTIONS


class InnkeeperAdminConfig(AdminConfig):
    """Django's admin with our site in its place."""

    default_site = "config.staff.StaffSite"


class ConfigConfig(AppConfig):
    """Binds ports and subscribers once every app is loaded."""

    name = "config"

    def ready(self) -> None:
        """Compose the system. By name: models can be imported only after all apps are loaded."""
        actions.register(*(one for one in ACTIONS if one.name not in actions))
        import_string("config.composition.compose")()
