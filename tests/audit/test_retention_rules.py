"""Rules of retention: how long, whose comes first, and the entry that each change leaves."""

import json
from uuid import UUID, uuid4

import pytest

from audit.models import Event
from audit.queries import retention
from audit.services.retention import Subject, follow
from kernel import db
from kernel.errors import Invalid
from kernel.tenancy import across_tenants
from tests.audit.aged import keep


@pytest.mark.parametrize("days", [0, 36_501])
def test_rule__beyond_its_bounds__is_refused(tenant_id: UUID, days: int) -> None:
    with pytest.raises(Invalid):
        keep(tenant_id, days)


def test_rules__nearest_one__holds() -> None:
    tenant = uuid4()
    stored = [
        retention.StoredRule(UUID(int=0), "*", 400),
        retention.StoredRule(UUID(int=0), "basic", 30),
        retention.StoredRule(tenant, "", None),
    ]
    found = retention.Rules(stored)
    assert found.of(tenant, "basic") == retention.Rule(None, "tenant")
    assert found.of(uuid4(), "basic") == retention.Rule(30, "plan")
    assert found.of(uuid4(), "enterprise") == retention.Rule(400, "default")
    assert found.of(UUID(int=0), None) == retention.Rule(None, "none")


def test_rule__taken_away__is_an_entry(tenant_id: UUID) -> None:
    keep(tenant_id, 30)
    with db.use_alias("staff"), across_tenants():
        assert follow(Subject(tenant_id=tenant_id))
        assert not follow(Subject(tenant_id=tenant_id))
    found = Event.objects.filter(action="audit.retention.changed").order_by("id")
    changed = [json.loads(bytes(one.leaf))["changes"] for one in found]
    assert changed == [{"after": {"days": 30}}, {"before": {"days": 30}}]
