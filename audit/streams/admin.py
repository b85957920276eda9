"""Streams and anchors on the operator's site: their health; pausing and resuming with a reason."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from audit.streams import queries, services
from audit.streams.models import AnchorState, LogStream
from audit.streams.queries import Health
from audit.streams.services import STREAM_PREFIX
from kernel.ids import encode
from kernel.staff import StaffModelAdmin, service_action
from kernel.tenancy import tenant_context


def _pause(stream: LogStream, reason: str) -> None:
    with _owned(stream):
        services.pause(stream.id, reason=reason)


def _resume(stream: LogStream, reason: str) -> None:
    with _owned(stream):
        services.resume(stream.id, reason=reason)


def _owned(stream: LogStream) -> Any:
    """Work for the stream's owner, also where that is the instance itself."""
    return tenant_context(stream.tenant_id)


class WithHealth(ChangeList):
    """A page of streams whose health is read by one statement for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the page's streams and what is known of them."""
        super().get_results(request)
        found = list(self.result_list)
        health = queries.health_of(found)
        for stream in found:
            stream.__dict__["_health"] = health[stream.id]
        self.result_list = found


@admin.register(LogStream)
class LogStreamAdmin(StaffModelAdmin):
    """Streams of all tenants and of the instance. Secrets are not shown to anybody."""

    id_prefix = STREAM_PREFIX
    list_display = ("api_id", "name", "owner", "kind", "content", "scope", "status", "health")
    list_filter = ("status", "kind", "content", "scope")
    search_fields = ("name",)
    fields = (
        "api_id", "name", "owner", "kind", "content", "scope", "receiver", "status", "reason",
        "created_at", "health", "delivered", "waiting", "last_success", "last_test",
    )  # fmt: skip
    readonly_fields = fields
    list_select_related: ClassVar[bool] = False
    actions = [
        service_action(
            "pause",
            "Pause selected streams",
            done="paused",
            warning="Nothing is sent any more; the streams remember where they were.",
            act=_pause,
        ),
        service_action(
            "resume",
            "Resume selected streams",
            done="resumed",
            warning="Everything that has waited is sent.",
            act=_resume,
        ),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Show pages with their health."""
        return WithHealth

    @admin.display(description="owner")
    def owner(self, stream: LogStream) -> str:
        """Show whose it is."""
        return encode("ten", stream.tenant_id) if stream.tenant_id.int else "the instance"

    @admin.display(description="receiver")
    def receiver(self, stream: LogStream) -> str:
        """Show where it goes, without a path, which may be secret."""
        return str(services.facts_of(stream)["receiver"])

    @admin.display(description="health")
    def health(self, stream: LogStream) -> str:
        """Show what is wrong, if anything."""
        state = _health(stream)
        if state.failures:
            return f"{state.failures} failures: {state.last_error}"
        return f"{state.waiting} waiting" if state.waiting else "up to date"

    @admin.display(description="delivered")
    def delivered(self, stream: LogStream) -> int:
        """Show how many places were sent."""
        return _health(stream).delivered

    @admin.display(description="waiting")
    def waiting(self, stream: LogStream) -> str:
        """Show how many places wait, and since when."""
        state = _health(stream)
        return f"{state.waiting} since {state.waiting_since}" if state.waiting else "none"

    @admin.display(description="last success")
    def last_success(self, stream: LogStream) -> str:
        """Show when a batch last arrived."""
        return str(_health(stream).last_success_at or "never")

    @admin.display(description="last test")
    def last_test(self, stream: LogStream) -> str:
        """Show what came of the last test message."""
        state = _health(stream)
        return f"{state.test_outcome} at {state.tested_at}" if state.tested_at else "never"


@admin.register(AnchorState)
class AnchorStateAdmin(StaffModelAdmin):
    """The instance's anchors, as its settings name them."""

    list_display = ("name", "kind", "size", "anchored_at", "failures", "last_error")
    list_filter = ("kind",)
    search_fields = ("name",)
    fields = (
        "name", "kind", "log_id", "size", "anchored_at", "tried_at", "next_at", "failures",
        "last_error",
    )  # fmt: skip
    readonly_fields = fields


def _health(stream: LogStream) -> Health:
    """Give a stream's health, read once for all its columns."""
    known: Health | None = stream.__dict__.get("_health")
    if known is None:
        known = stream.__dict__["_health"] = queries.health_of([stream])[stream.id]
    return known
