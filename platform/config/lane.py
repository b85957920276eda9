"""Which routes the fast lane serves: hot endpoints that are asked most."""

from accounts.api.verify import VerifyKey
from billing.api.quotas import CONSUME_ROUTE, ConsumeView
from billing.usage.api.events import Events
from billing.usage.api.figures import Query
from kernel.health import Health, Livez, Readyz
from kernel.http.hot import HotEndpoint
from kernel.http.lane import Application, FastLane

ROUTES: dict[str, type[HotEndpoint]] = {
    "api/v1/keys/verify": VerifyKey,
    "api/v1/events": Events,
    CONSUME_ROUTE: ConsumeView,
    "api/v1/meters/<str:id_or_slug>/query": Query,
    "livez": Livez,
    "readyz": Readyz,
    "health": Health,
}


def mount(inner: Application) -> FastLane:
    """Put the lane before Django's handler."""
    return FastLane(inner, ROUTES)
