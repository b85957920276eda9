"""The worker's connections: one for each service and role, for as long as it lives."""

from django.db import connections

from kernel.management.commands import worker


def test_worker__services_outnumber_a_pool__each_has_its_own_connections(monkeypatch):
    pooled = {"staff": {"OPTIONS": {"pool": {"max_size": 4}, "application_name": "x"}}}
    monkeypatch.setattr(connections, "settings", pooled)
    worker._leave_pools()
    assert pooled == {"staff": {"OPTIONS": {"application_name": "x"}}}
