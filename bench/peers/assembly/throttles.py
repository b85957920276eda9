"""How often: the plan's requests a day, counted for each key."""

from django.conf import settings
from rest_framework.throttling import SimpleRateThrottle


class PlanThrottle(SimpleRateThrottle):
    """DRF's sliding window with the rate of the key's plan."""

    scope = "plan"
    THROTTLE_RATES = {"plan": "1/day"}

    def allow_request(self, request, view):
        """Take the plan's rate, then decide as DRF does."""
        plan = request.api_key.organization.plan
        self.num_requests, self.duration = self.parse_rate(settings.PLAN_RATES[plan])
        return super().allow_request(request, view)

    def get_cache_key(self, request, view):
        """One history for each key."""
        return self.cache_format % {"scope": self.scope, "ident": request.api_key.prefix}

    def remaining(self):
        """What is left of the day's requests after this one."""
        return max(0, self.num_requests - len(self.history))
