"""The app registration of billing."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Plans, features, entitlements, metering and invoices, in that inner order."""

    name = "billing"
    label = "billing"
    verbose_name = "Billing"
