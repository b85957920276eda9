"""Actions of staff: a service for each chosen object, after a page that asks and takes a reason."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from kernel.errors import DomainError
from kernel.staff.models import StaffModelAdmin

Act = Callable[[Any, str], object]
Action = Callable[[StaffModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]
CONFIRMED, REASON = "confirmed", "reason"
MAX_REASON = 500


def service_action(name: str, label: str, *, done: str, warning: str, act: Act) -> Action:
    """Make an admin action.

    Args:
        name: the action's name in the form.
        label: what the menu says, such as "Suspend selected tenants".
        done: what happened, after a number and a noun: "suspended".
        warning: what the asking page says of the consequences.
        act: the service's call for one object, with the reason that was given.
    """

    @admin.action(description=label, permissions=["operate"])
    def action(
        site: StaffModelAdmin, request: HttpRequest, chosen: QuerySet[Any]
    ) -> HttpResponse | None:
        if CONFIRMED not in request.POST:
            return _ask(site, request, chosen, {"name": name, "label": label, "warning": warning})
        reason = request.POST.get(REASON, "").strip()[:MAX_REASON]
        _run(site, request, chosen, lambda one: act(one, reason), done)
        return None

    action.__name__ = name
    return action


def _ask(
    site: StaffModelAdmin, request: HttpRequest, chosen: QuerySet[Any], action: dict[str, str]
) -> HttpResponse:
    context = {
        **site.admin_site.each_context(request),
        "title": action["label"],
        "opts": site.opts,
        "chosen": list(chosen),
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "max_reason": MAX_REASON,
    }
    return TemplateResponse(request, "staff/confirm.html", context)


def _run(
    site: StaffModelAdmin,
    request: HttpRequest,
    chosen: QuerySet[Any],
    act: Callable[[Any], object],
    done: str,
) -> None:
    """Act on each object in a transaction of its own, so that one refusal undoes no other."""
    succeeded = 0
    for one in chosen:
        try:
            act(one)
        except DomainError as refused:
            site.message_user(request, f"{one}: {refused.detail}", messages.ERROR)
        else:
            succeeded += 1
    if succeeded:
        noun = site.opts.verbose_name if succeeded == 1 else site.opts.verbose_name_plural
        site.message_user(request, f"{succeeded} {noun} {done}.", messages.SUCCESS)
