"""The composition root: who answers which port, who hears which event, who listens to requests.

The only place that knows all apps. ``ConfigConfig.ready`` imports it once they are loaded.
"""

from billing.entitlements.services import on_subscription_changed
from billing.ports import SubscribedPlans
from billing.subscriptions.events import SubscriptionChanged
from kernel import events, ports


def compose() -> None:
    """Bind everything. Called once, by ``ConfigConfig.ready``."""
    ports.plans.bind(SubscribedPlans())
    events.react(SubscriptionChanged.name, on_subscription_changed)
