"""The log on the operator's site."""

from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import User
from audit.sealing.sealer import Sealer
from kernel import db
from kernel.ids import encode
from kernel.tenancy import across_tenants
from tests.audit.logs import changes, rows
from tests.audit.superuser import disarmed
from tests.guests import system


@pytest.fixture
def person() -> User:
    with system(), db.atomic():
        return User.objects.create_superuser(email=f"{uuid4().hex}@example.org")


@pytest.fixture
def staff(person: User) -> Client:
    client = Client()
    with db.use_alias("staff"), across_tenants():
        client.force_login(person)
    return client


def test_list__search_and_filters__find_entries_and_are_recorded(
    staff: Client, person: User, sealer: Sealer
) -> None:
    tenant = uuid4()
    (receipt,) = changes(tenant, 1)
    sealer.drain()
    public_id = encode("aud", receipt.event_id)
    for query in (f"q={public_id}", f"q={encode('ten', tenant)}", "action=sample.renamed"):
        page = staff.get(f"/admin/audit/event/?{query}")
        assert page.status_code == 200
        assert public_id in page.content.decode()
    assert public_id not in staff.get("/admin/audit/event/?outcome=denied").content.decode()
    viewed = rows(
        "SELECT count(*) FROM audit_event WHERE action = 'audit.events.viewed' "
        "AND actor_type = 'staff' AND actor_id = %s",
        str(person.id),
    )
    assert viewed == [(4,)]


def test_entry__verify_button__tells_what_it_found(staff: Client, sealer: Sealer) -> None:
    tenant = uuid4()
    receipts = changes(tenant, 3)
    sealer.drain()
    event = receipts[1].event_id
    page = staff.get(f"/admin/audit/event/{event}/change/")
    assert "Verify this entry" in page.content.decode()
    assert "name 1" in page.content.decode()
    good = staff.post(f"/admin/audit/event/{event}/verify", follow=True)
    assert "Valid: 1 checked, 0 erased values." in good.content.decode()
    with disarmed() as link:
        link.execute("UPDATE audit_event SET actor_id = 'mallory' WHERE id = %s", [event])
    bad = staff.post(f"/admin/audit/event/{event}/verify", follow=True)
    assert "column actor_id differs from the bytes" in bad.content.decode()


def test_log__verify_button__checks_all_of_it(staff: Client, sealer: Sealer) -> None:
    tenant = uuid4()
    changes(tenant, 5)
    sealer.drain()
    (log,) = rows("SELECT log_id FROM audit_head WHERE tenant_id = %s", tenant)[0]
    page = staff.post(f"/admin/audit/head/{log}/verify", follow=True)
    assert "Valid: 5 checked" in page.content.decode()
    with disarmed() as link:
        link.execute("DELETE FROM audit_event WHERE id IN (SELECT event_id FROM audit_leaf "
                     "WHERE log_id = %s AND leaf_index = 3)", [log])  # fmt: skip
    page = staff.post(f"/admin/audit/head/{log}/verify", follow=True)
    assert "Missing at 3" in page.content.decode()


def test_pages__nothing__can_be_changed(staff: Client, sealer: Sealer) -> None:
    (receipt,) = changes(uuid4(), 1)
    for path in (f"{receipt.event_id}/change/", f"{receipt.event_id}/delete/", "add/"):
        assert staff.post(f"/admin/audit/event/{path}", {"action": "x"}).status_code == 403
    assert staff.get(f"/admin/audit/event/{receipt.event_id}/verify").status_code == 405
