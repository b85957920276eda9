"""The kernel as a Django app."""

from django.apps import AppConfig

from kernel.tenancy.context import connect_signals


class KernelConfig(AppConfig):
    """Arms what must hold for every connection."""

    name = "kernel"

    def ready(self) -> None:
        """Clear the tenant at every connection checkout."""
        connect_signals()
