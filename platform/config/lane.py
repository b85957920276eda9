"""Which routes the fast lane serves: hot endpoints with a fixed path."""

from accounts.api.verify import VerifyKey
from billing.usage.api.events import Events
from kernel.health import Health, Livez, Readyz
from kernel.http.hot import HotEndpoint
from kernel.http.lane import Application, FastLane

ROUTES: dict[str, type[HotEndpoint]] = {
    "api/v1/keys/verify": VerifyKey,
    "api/v1/events": Events,
    "livez": Livez,
    "readyz": Readyz,
    "health": Health,
}


def mount(inner: Application) -> FastLane:
    """Put the lane before Django's handler."""
    return FastLane(inner, ROUTES)
