"""Actions of staff: a service for each chosen object, after a page that asks and takes a reason."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from kernel.errors import DomainError
from kernel.http import context
from kernel.staff.models import StaffModelAdmin

Act = Callable[[Any, str], object]
Action = Callable[[StaffModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]
CONFIRMED, REASON = "confirmed", "reason"
MAX_REASON = 500


def service_action(
    name: str, label: str, *, done: str, warning: str, act: Act, secret: bool = False
) -> Action:
    """Make an admin action.

    Args:
        name: the action's name in the form.
        label: what the menu says, such as "Suspend selected tenants".
        done: what happened, after a number and a noun: "suspended".
        warning: what the asking page says of the consequences.
        act: the service's call for one object, with the reason that was given.
        secret: what ``act`` gives is a secret text, shown once on the page that answers. Messages
            outlive a request, so it must not be in one.
    """

    @admin.action(description=label, permissions=["operate"])
    def action(
        site: StaffModelAdmin, request: HttpRequest, chosen: QuerySet[Any]
    ) -> HttpResponse | None:
        if CONFIRMED not in request.POST:
            return _ask(site, request, chosen, {"name": name, "label": label, "warning": warning})
        reason = request.POST.get(REASON, "").strip()[:MAX_REASON]
        made = _run(site, request, chosen, lambda one: act(one, reason), done)
        return _show_once(site, request, made, label) if secret and made else None

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
) -> list[tuple[Any, object]]:
    """Act on each object in a transaction of its own, so that one refusal undoes no other.

    Gives the objects that it worked for, each with what came of it.
    """
    made: list[tuple[Any, object]] = []
    for one in chosen:
        try:
            made.append((one, act(one)))
        except DomainError as refused:
            site.message_user(request, f"{one}: {refused.detail}", messages.ERROR)
    if made:
        noun = site.opts.verbose_name if len(made) == 1 else site.opts.verbose_name_plural
        site.message_user(request, f"{len(made)} {noun} {done}.", messages.SUCCESS)
    return made


def _show_once(
    site: StaffModelAdmin, request: HttpRequest, made: list[tuple[Any, object]], label: str
) -> HttpResponse:
    facts = context.current()
    if facts is not None:
        facts.secret = True
    shown = {
        **site.admin_site.each_context(request),
        "title": label,
        "opts": site.opts,
        "made": made,
    }
    return TemplateResponse(request, "staff/shown_once.html", shown)
