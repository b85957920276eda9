"""Jobs and events of the system on the operator's site."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from procrastinate.contrib.django.models import ProcrastinateJob

from config.reviving import cancel_job, retry_job, revive_event
from kernel import ids
from kernel.models import OutboxEvent
from kernel.staff import StaffModelAdmin, service_action

# The engine's own page passes by the audit log, and its inline styles by the site's policy.
admin.site.unregister(ProcrastinateJob)

_RETRY = service_action(
    "retry",
    "Retry selected jobs",
    done="retried",
    warning="Failed jobs run again from the start. Others are left alone.",
    act=lambda job, reason: retry_job(job.pk, reason=reason),
)
_CANCEL = service_action(
    "cancel",
    "Cancel selected jobs",
    done="cancelled",
    warning="Jobs that wait will not run. Others are left alone.",
    act=lambda job, reason: cancel_job(job.pk, reason=reason),
)
_REVIVE = service_action(
    "revive",
    "Tell selected dead events again",
    done="revived",
    warning="Events of the same order that came after them were told meanwhile.",
    act=lambda event, reason: revive_event(event.pk, reason=reason),
)


@admin.register(ProcrastinateJob)
class JobAdmin(StaffModelAdmin):
    """Look up jobs, try failed ones again, cancel those that wait."""

    list_display = ("id", "name", "status", "attempts", "scheduled_at")
    list_filter = ("status", "queue_name")
    search_fields = ("task_name", "args__job")
    ordering = ("-id",)
    actions = [_RETRY, _CANCEL]
    fields = readonly_fields = (
        "id", "name", "status", "attempts", "priority", "queue_name", "lock", "queueing_lock",
        "scheduled_at", "abort_requested", "history",
    )  # fmt: skip

    @admin.display(description="job")
    def name(self, job: ProcrastinateJob) -> str:
        """Show the job's own name; one task of the engine carries them all."""
        return str(job.args.get("job", job.task_name))

    @admin.display(description="history")
    def history(self, job: ProcrastinateJob) -> str:
        """Show what became of it, and when."""
        events = job.procrastinateevent_set.order_by("at").values_list("type", "at")[:50]
        return ", ".join(f"{kind} {at:%Y-%m-%d %H:%M:%S}" for kind, at in events)


class StateFilter(admin.SimpleListFilter):
    """Waiting, delivered or dead."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the three states."""
        return [("waiting", "Waiting"), ("delivered", "Delivered"), ("dead", "Dead")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the chosen state."""
        wanted = {
            "waiting": Q(delivered_at=None, dead_at=None),
            "delivered": Q(delivered_at__isnull=False),
            "dead": Q(dead_at__isnull=False),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))


@admin.register(OutboxEvent)
class OutboxEventAdmin(StaffModelAdmin):
    """Look up events on their way, and tell dead ones again. Their payload is on no page."""

    list_display = ("id", "name", "tenant", "occurred_at", "attempts", "delivered_at", "dead_at")
    list_filter = (StateFilter,)
    search_fields = ("name",)
    ordering = ("-id",)
    actions = [_REVIVE]
    fields = readonly_fields = (
        "id", "name", "tenant", "occurred_at", "available_at", "ordering_key", "attempts", "done",
        "leased_until", "delivered_at", "dead_at", "last_error",
    )  # fmt: skip

    @admin.display(description="tenant")
    def tenant(self, event: OutboxEvent) -> str:
        """Show the tenant's id."""
        return ids.encode(ids.TENANT, event.tenant_id) if event.tenant_id else "–"
