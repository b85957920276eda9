"""Jobs and events on the operator's site: tried again, cancelled, told again, each audited."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.services import staff
from audit.models import Event
from kernel import db
from kernel.ids import new_id
from kernel.models import OutboxEvent
from tests.guests import new_tenant, system

# Models without a page of their own: Django's and the engine's, tables between two others, and
# what another page shows.
ELSEWHERE = {
    "admin.LogEntry", "auth.Permission", "auth.Group", "contenttypes.ContentType",
    "sessions.Session", "procrastinate.ProcrastinateWorker", "procrastinate.ProcrastinateEvent",
    "procrastinate.ProcrastinatePeriodicDefer",
    "accounts.StaffGrant",  # manage.py staff_group
    "audit.Declaration", "audit.Leaf",  # GET audit/schemas, the log's own page
    "billing.PlanFeature",  # the plan version's page
    "billing.EntitlementReset",  # GET …/history
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Client:
    with system():
        user = staff.create_superuser(f"{new_id().hex}@staff.example", "correct horse battery")
        client = Client()
        client.force_login(user)
    return client


def queued(status: str) -> int:
    with system(), db.atomic():
        number = app.configure_task("kernel.run", allow_unknown=True).defer(
            job="tests.nothing", arguments="{}"
        )
        db.rows(
            "UPDATE procrastinate_jobs SET status = $1::procrastinate_job_status"
            " WHERE id = $2::bigint RETURNING id",
            [status, number],
        )
    return number


def act(browser: Client, model: str, action: str, pk: object) -> str:
    browser.post(
        f"/admin/{model}/",
        {"action": action, "_selected_action": [str(pk)], "confirmed": "yes", "reason": "test"},
    )
    return browser.get(f"/admin/{model}/{pk}/change/").content.decode()


def told(action: str, target: object) -> int:
    with system():
        return Event.objects.filter(action=action, target_id=str(target)).count()


def job(number: int) -> ProcrastinateJob:
    with system():
        return ProcrastinateJob.objects.get(id=number)


def test_models__all__have_a_page_with_a_search_or_are_named_here():
    pages = {model._meta.label for model in admin.site._registry}
    # Tests define models, too, in modules of tests.
    ours = [model for model in apps.get_models() if ".test_" not in model.__module__]
    assert {model._meta.label for model in ours} - pages == ELSEWHERE
    assert [
        label for label, page in ((m._meta.label, p) for m, p in admin.site._registry.items())
        if not page.search_fields
    ] == []  # fmt: skip


@pytest.mark.parametrize(
    ("action", "before", "after"), [("retry", "failed", "todo"), ("cancel", "todo", "cancelled")]
)
def test_job__acted_on__changes_and_is_audited(browser, action, before, after):
    number = queued(before)

    page = act(browser, "procrastinate/procrastinatejob", action, number)

    assert "tests.nothing" in page
    assert job(number).status == after
    entry = {"retry": "job.retried", "cancel": "job.cancelled"}[action]
    assert told(entry, number) == 1


@pytest.mark.parametrize(("action", "state"), [("retry", "todo"), ("cancel", "failed")])
def test_job__in_another_state__is_left_alone(browser, action, state):
    number = queued(state)

    page = act(browser, "procrastinate/procrastinatejob", action, number)

    assert re.search(rf"The job is {state}, not \w+\.", page)
    assert job(number).status == state
    assert told("job.retried", number) + told("job.cancelled", number) == 0


def test_event__dead__is_told_again_once_and_audited(browser):
    tenant = new_tenant()
    with system():
        event = OutboxEvent.objects.filter(tenant_id=tenant.id).order_by("id").first()
        db.rows(
            "UPDATE kernel_outbox SET dead_at = now(), attempts = 9, last_error = 'broken'"
            " WHERE id = $1::uuid RETURNING id",
            [event.id],
        )

    for _ in range(2):
        page = act(browser, "kernel/outboxevent", "revive", event.id)

    assert "Only a dead event can be revived." in page
    with system():
        event.refresh_from_db()
    assert (event.dead_at, event.attempts) == (None, 0)
    assert told("outbox_event.revived", event.id) == 1


def test_pages__of_what_staff_look_up__show_lists_and_filters(browser):
    for model in ("kernel/outboxevent", "billing/entitlement", "billing/grant",
                  "billing/thresholdcrossing", "billing/customerprofile"):  # fmt: skip
        answer = browser.get(f"/admin/{model}/?q={new_id().hex}")
        assert answer.status_code == 200, model
        assert b"changelist-filter" in answer.content, model
