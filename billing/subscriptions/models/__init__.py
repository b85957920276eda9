"""Subscriptions and subjects: what belongs to a customer, which is a tenant."""

from billing.subscriptions.models.subjects import Subject
from billing.subscriptions.models.subscriptions import Subscription

__all__ = ["Subject", "Subscription"]
