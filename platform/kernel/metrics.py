"""Metrics in Prometheus form, on django-prometheus' own series.

Labels are route, method and status, never the tenant: per-tenant figures come from metering. Only
two series are fed per request instead of django-prometheus' fifteen (its middlewares cost 52 µs a
request, measured). With several processes PROMETHEUS_MULTIPROC_DIR must be set before this module
is imported: the launcher does so.
"""

import ipaddress
import threading
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django_prometheus.middleware import Metrics

from kernel import exposition
from kernel.errors import Forbidden
from kernel.http import problem
from kernel.http.context import RequestContext

STAFF = "admin/"
"""Staff pages are one series: there are hundreds, used by few, and a scrape reads every series."""

_first = threading.Lock()
_latency: dict[tuple[str, str], Any] = {}
_responses: dict[tuple[str, str, int], Any] = {}


def observe(facts: RequestContext) -> None:
    """Count a finished request and its latency (seconds)."""
    route = facts.route or "<none>"
    if route.startswith(STAFF):
        route = STAFF
    latency = _latency.get((route, facts.method))
    if latency is None:
        latency = _metrics().requests_latency_by_view_method.labels(route, facts.method)
        _latency[route, facts.method] = latency
    latency.observe(facts.elapsed_ms() / 1000)
    counter = _responses.get((route, facts.method, facts.status))
    if counter is None:
        counter = _metrics().responses_by_status_view_method.labels(
            str(facts.status), route, facts.method
        )
        _responses[route, facts.method, facts.status] = counter
    counter.inc()


def export(request: HttpRequest) -> HttpResponseBase:
    """Show the metrics of all processes to the networks that may scrape."""
    remote = request.META.get("REMOTE_ADDR") or "127.0.0.1"
    if not any(ipaddress.ip_address(remote) in network for network in _scrapers()):
        return problem.response(Forbidden("Metrics are for INNKEEPER_METRICS_NETWORKS."))
    return HttpResponse(exposition.page(), content_type=exposition.CONTENT_TYPE)


@cache
def _metrics() -> Any:
    # Neither cache nor get_instance keeps two first requests from registering the series twice.
    with _first:
        return Metrics.get_instance()


@cache
def _scrapers() -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(
        ipaddress.ip_network(text, strict=False) for text in settings.INNKEEPER_METRICS_NETWORKS
    )
