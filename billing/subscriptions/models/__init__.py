"""Subscriptions and subjects: what belongs to a customer, which is a tenant."""

from billing.subscriptions.models.profiles import CustomerProfile
from billing.subscriptions.models.subjects import Subject
from billing.subscriptions.models.subscriptions import Subscription

__all__ = ["CustomerProfile", "Subject", "Subscription"]
