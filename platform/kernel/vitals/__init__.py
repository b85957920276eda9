"""Signs of life: what processes tell Prometheus about themselves and about background work.

Serving processes share ``/metrics``; the worker has an exporter of its own. What an alert of
platform/observability/rules.yml reads and django-prometheus does not count is made here.
"""
