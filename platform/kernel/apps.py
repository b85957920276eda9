"""The kernel as a Django app."""

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.utils.module_loading import import_string

from kernel.outbound import addresses
from kernel.tenancy.context import connect_signals
from kernel.vitals import slow


class KernelConfig(AppConfig):
    """Arms what must hold for every connection."""

    name = "kernel"

    def ready(self) -> None:
        """Clear the tenant at every connection checkout and time every statement.

        Raises:
            ValueError: a network of INNKEEPER_OUTBOUND_TARGETS is misspelt.
        """
        connect_signals()
        addresses.opened()
        slow.watch()
        # By name: views can be imported only after all apps are loaded.
        checks.register(_check_routes, checks.Tags.urls)


def _check_routes(**facts: Any) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = import_string("kernel.http.routes.check_routes")(**facts)
    return found
