"""The log on the operator's site: search, filters, one entry in full, verify buttons. Read-only.

Looking is an entry itself. Nothing here can change a row: no role could.
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from audit.actions import EVENTS_VIEWED
from audit.api.rendering import EVENT_PREFIX, render
from audit.models import Event, Head, Hold
from audit.queries.events import entry, matching
from audit.registry import registry
from audit.services import holds, record_read
from audit.streams.admin import AnchorStateAdmin, LogStreamAdmin
from audit.verification.findings import LogReport, Verdict
from audit.verification.run import verify
from audit.verification.single import verify_entry
from kernel.ids import TENANT, encode
from kernel.staff import StaffModelAdmin, service_action

__all__ = ["AnchorStateAdmin", "EventAdmin", "HeadAdmin", "HoldAdmin", "LogStreamAdmin"]

LARGEST_BY_BUTTON = 100_000
"""Entries that a button checks while the page waits (about two seconds)."""


class ActionFilter(admin.SimpleListFilter):
    """Filters by the actions that the apps declare."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        """Offer every declared action."""
        return [(action.name, action.name) for action in registry]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        """Narrow to the chosen action."""
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(StaffModelAdmin):
    """Entries of all tenants and of the instance."""

    id_prefix = EVENT_PREFIX
    list_display = (
        "public_id", "occurred_at", "action", "actor", "target", "outcome", "tenant", "request_id",
    )  # fmt: skip
    list_filter = (ActionFilter, "outcome", "stream", "actor_type")
    search_fields = ("action",)
    search_help_text = "Words, ids of entries (aud_…) and of tenants (ten_…), request ids"
    ordering = ("-id",)
    fields = ("public_id", "tenant", "occurred_at", "recorded_at", "place", "document")
    readonly_fields = fields
    change_form_template = "audit/event_change_form.html"
    list_select_related: ClassVar[bool] = False

    def get_urls(self) -> list[URLPattern]:
        """Add the verify button's address."""
        own = path(
            "<uuid:event>/verify",
            self.admin_site.admin_view(require_POST(self.verify)),
            name="audit_event_verify",
        )
        return [own, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by id where the term is one, else in the full text of sealed entries."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith((f"{EVENT_PREFIX}_", "ten_")):
            return super().get_search_results(request, queryset, term)
        return matching(queryset, term[:200]), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a page of entries, and record that it was looked at."""
        record_read(action=EVENTS_VIEWED.name, target_id="admin")
        return super().changelist_view(request, extra_context)

    def verify(self, request: HttpRequest, event: UUID) -> HttpResponse:
        """Verify one entry and say what was found."""
        row = Event.objects.filter(id=event).first()
        if row is not None:
            _tell(self, request, verify_entry(row.id, row.tenant_id))
        return HttpResponseRedirect(reverse("admin:audit_event_change", args=[event]))

    @admin.display(description="id")
    def public_id(self, event: Event) -> str:
        """Show the id as the API does."""
        return encode(EVENT_PREFIX, event.id)

    @admin.display(description="actor")
    def actor(self, event: Event) -> str:
        """Show who did it."""
        return f"{event.actor_type} {event.actor_id}".strip()

    @admin.display(description="target")
    def target(self, event: Event) -> str:
        """Show what was acted on."""
        return f"{event.target_type} {event.target_id}".strip() or "–"

    @admin.display(description="tenant")
    def tenant(self, event: Event) -> str:
        """Show whose log it is in."""
        return encode(TENANT, event.tenant_id) if event.tenant_id.int else "the instance"

    @admin.display(description="place in the log")
    def place(self, event: Event) -> str:
        """Show log and leaf index."""
        item = _rendered(event)
        return f"{item['leaf_index']} in {item['log']}" if item["sealed"] else "not sealed yet"

    @admin.display(description="entry")
    def document(self, event: Event) -> SafeString:
        """Show the entry in full, personal values put in where they still open."""
        return format_html("<pre>{}</pre>", json.dumps(_rendered(event), indent=2))


def _rendered(event: Event) -> dict[str, Any]:
    """Render a row of the ORM's as the API does.

    Raises:
        django.http.Http404: retention let it go since it was read.
    """
    found = entry(event.id)
    if found is None:
        raise Http404
    return render([found])[0]


@admin.register(Head)
class HeadAdmin(StaffModelAdmin):
    """Logs: one for each tenant and stream, and the instance's log of heads."""

    list_display = ("log_id", "tenant_id", "stream", "epoch", "size", "created_at")
    list_filter = ("stream",)
    search_fields = ("log_id",)
    fields = ("log_id", "origin", "tenant_id", "stream", "epoch", "size", "root_hex", "created_at")
    readonly_fields = fields
    change_form_template = "audit/head_change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the verify button's address."""
        own = path(
            "<uuid:log>/verify",
            self.admin_site.admin_view(require_POST(self.verify)),
            name="audit_head_verify",
        )
        return [own, *super().get_urls()]

    def verify(self, request: HttpRequest, log: UUID) -> HttpResponse:
        """Verify a whole log, or name the command for logs too large to wait for."""
        head = Head.objects.filter(log_id=log).first()
        if head is not None and head.size > LARGEST_BY_BUTTON:
            command = f"manage.py audit_verify --tenant {head.tenant_id}"
            self.message_user(request, f"Too large to wait for: {command}", messages.WARNING)
        elif head is not None:
            (report,) = verify(head.tenant_id, log_id=log).logs
            _tell(self, request, report)
        return HttpResponseRedirect(reverse("admin:audit_head_change", args=[log]))

    @admin.display(description="root")
    def root_hex(self, head: Head) -> str:
        """Show the root."""
        return bytes(head.root).hex()


_RELEASE = service_action(
    "release",
    "Release selected holds",
    done="released",
    warning="What they cover follows the rules of retention again, and persons may be erased.",
    act=lambda hold, reason: holds.release(hold.pk, reason=reason),
)


@admin.register(Hold)
class HoldAdmin(StaffModelAdmin):
    """Legal holds: looked at and released here, set on the tenant's page or by the API."""

    id_prefix = holds.PREFIX
    list_display = ("api_id", "tenant", "reason", "set_at", "released_at")
    list_filter = (("released_at", admin.EmptyFieldListFilter),)
    search_fields = ("reason",)
    actions = [_RELEASE]
    fields = ("api_id", "tenant", "reason", "filter", "set_at", "released_at")
    readonly_fields = fields

    @admin.display(description="tenant")
    def tenant(self, hold: Hold) -> str:
        """Show whose entries it holds."""
        return encode(TENANT, hold.tenant_id)


def _tell(site: StaffModelAdmin, request: HttpRequest, report: LogReport) -> None:
    if report.valid:
        erased = report.counts.get(Verdict.ERASED, 0)
        site.message_user(
            request, f"Valid: {report.checked} checked, {erased} erased values.", messages.SUCCESS
        )
    for finding in report.findings:
        place = "" if finding.index is None else f" at {finding.index}"
        text = f"{finding.verdict.value}{place}: {finding.detail}"
        site.message_user(request, text, messages.ERROR)
