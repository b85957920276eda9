import orjson
import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from kernel import db
from kernel.errors import Conflict, Invalid, NotFound
from kernel.ids import new_id
from kernel.tenancy import tenant_context
from tenants import queries, services
from tenants.models import Status, Tenant
from tests.guests import fresh, inside, new_tenant, system

MOST_STATEMENTS = 30


def outbox(tenant_id, name):
    with system(), db.cursor() as cursor:
        cursor.execute(
            "SELECT payload FROM kernel_outbox WHERE tenant_id = %s AND name = %s",
            [tenant_id, name],
        )
        return [orjson.loads(row[0]) for row in cursor.fetchall()]


def entries(tenant_id, action):
    with system():
        return list(Event.objects.filter(tenant_id=tenant_id, action=action))


def test_create__valid__is_known_to_the_gate_the_log_and_the_outbox():
    tenant = new_tenant("basic", timezone="Europe/Berlin")

    with system(), db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT status, daily_limit FROM gate.tenant WHERE tenant_id = %s", [tenant.id]
        )
        gate = cursor.fetchone()
    assert gate == ("active", 1000)
    assert len(entries(tenant.id, "tenant.created")) == 1
    assert outbox(tenant.id, "tenant.created") == [
        {"slug": tenant.slug, "title": tenant.name, "plan": "basic"}
    ]


def test_create__taken_slug__conflicts_and_leaves_nothing():
    tenant = new_tenant()

    with pytest.raises(Conflict) as refused:
        new_tenant(slug=tenant.slug, name="Another")

    assert refused.value.code == "slug_taken"
    assert refused.value.errors[0].pointer == "/slug"
    with system():
        assert Tenant.objects.filter(slug=tenant.slug).count() == 1


def test_create__unknown_plan__is_invalid_and_leaves_no_tenant():
    slug = fresh()

    with pytest.raises(Invalid) as refused:
        new_tenant("no-such-plan", slug=slug)

    assert refused.value.errors[0].pointer == "/plan"
    with system():
        assert not Tenant.objects.filter(slug=slug).exists()


@pytest.mark.parametrize("slug", ["", "A", "-a", "a-", "a_b", "a" * 64, "a.b", "ä"])
def test_create__bad_slug__is_invalid(slug):
    with pytest.raises(Invalid) as refused:
        new_tenant(slug=slug, name="Fine")

    assert [fault.pointer for fault in refused.value.errors] == ["/slug"]


def test_create__several_faults__names_each():
    with pytest.raises(Invalid) as refused:
        new_tenant(slug="NO", name=" ", timezone="Mars/Olympus")

    assert [fault.pointer for fault in refused.value.errors] == ["/name", "/slug", "/timezone"]


def test_create__always__writes_rows_and_changes_no_schema():
    new_tenant()

    with CaptureQueriesContext(connections["staff"]) as statements:
        new_tenant()

    verbs = [statement["sql"].split()[0] for statement in statements.captured_queries]
    assert set(verbs) <= {"BEGIN", "INSERT", "SELECT", "UPDATE", "COMMIT"}
    assert len(verbs) <= MOST_STATEMENTS


def test_suspend__active__moves_gate_log_and_outbox_once():
    tenant = new_tenant()

    with system():
        services.suspend(tenant.id, reason="unpaid")
        again = services.suspend(tenant.id)

    assert again.status == Status.SUSPENDED
    assert len(entries(tenant.id, "tenant.suspended")) == 1
    assert outbox(tenant.id, "tenant.suspended") == [{"slug": tenant.slug}]


def test_suspend__closed__conflicts():
    tenant = new_tenant()

    with system():
        services.close(tenant.id)
        with pytest.raises(Conflict) as refused:
            services.suspend(tenant.id)

    assert refused.value.code == "tenant_closed"


def test_restore__closed__is_active_without_marks():
    tenant = new_tenant()

    with system():
        services.close(tenant.id)
        restored = services.restore(tenant.id)

    assert (restored.status, restored.closed_at, restored.suspended_at) == ("active", None, None)
    assert outbox(tenant.id, "tenant.restored") == [{"slug": tenant.slug, "was": "closed"}]


def test_transitions__unknown_tenant__are_not_found():
    with system():
        for move in (services.suspend, services.restore, services.close):
            with pytest.raises(NotFound):
                move(new_id())


def test_own__inside_a_tenant__is_that_tenant_alone():
    tenant, other = new_tenant(), new_tenant()

    with tenant_context(tenant.id):
        assert queries.own().slug == tenant.slug
        with pytest.raises(NotFound):
            queries.by_id(other.id)
        assert [row.id for row in Tenant.objects.all()] == [tenant.id]


def test_row__under_the_app_role__cannot_be_written():
    tenant = new_tenant()

    with (
        inside(tenant.id),
        pytest.raises(Exception, match="permission denied"),
        db.atomic(),
        db.cursor() as cursor,
    ):
        cursor.execute("UPDATE tenants_tenant SET name = 'x' WHERE id = %s", [tenant.id])


def test_row__changed_past_the_services__cannot_be_committed():
    tenant = new_tenant()

    with system(), pytest.raises(Exception, match="needs an audit entry"), db.atomic():
        Tenant.objects.filter(id=tenant.id).update(name="Unaudited")
