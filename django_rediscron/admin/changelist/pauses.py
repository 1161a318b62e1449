"""What is paused: above the list, with buttons to resume it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from ...core.store.pauses import ALL, Pause, resume
from ...queues import main_connection
from ..display import TEMPLATES, absolute, page_url

TEMPLATE = f"{TEMPLATES}/pauses.html"


@dataclass(frozen=True)
class ShownPause:
    """A pause as the page shows it."""

    pause: Pause

    @property
    def verdict(self) -> str:
        """What is paused."""
        queue = self.pause.queue
        return _("All schedules are paused") if queue is None else _paused(queue)

    @property
    def facts(self) -> list[str]:
        """Since when, by whom, why and until when, and what becomes of missed runs."""
        pause = self.pause
        facts = [_("since %(time)s") % {"time": absolute(pause.at)}]
        facts.append(_("by %(actor)s") % {"actor": pause.by})
        if pause.until is not None:
            facts.append(_("until %(time)s") % {"time": absolute(pause.until)})
        is_skipped = pause.missed == "skip"
        facts.append(_("missed runs are skipped") if is_skipped else _("missed runs wait"))
        return [*facts, pause.reason] if pause.reason else facts

    @property
    def query(self) -> str:
        """Of the list, for the schedules that it concerns."""
        queue = self.pause.queue
        return urlencode({"state": "paused", **({} if queue is None else {"queue": queue})})

    @property
    def value(self) -> str:
        """Of the button."""
        return self.pause.queue or ALL


def render(pauses: Sequence[Pause], list_url: str, *, may_resume: bool) -> str:
    """The pauses as HTML, with links to the list at this address; empty without any."""
    shown = [ShownPause(each) for each in pauses]
    context = {"shown_pauses": shown, "may_resume": may_resume, "list_url": list_url}
    return render_to_string(TEMPLATE, context)


def resume_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Resume a queue, or all of them, and go back to the list."""
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    value = request.POST.get("queue") or ALL
    queue = None if value == ALL else value
    ended = resume(main_connection(), queue)
    if ended is None:
        text, level = _("It is not paused any more."), messages.WARNING
    else:
        text, level = _resumed(queue), messages.SUCCESS
    model_admin.message_user(request, text, level)
    return HttpResponseRedirect(page_url(model_admin, "changelist"))


def _paused(queue: str) -> str:
    return _("Queue “%(queue)s” is paused") % {"queue": queue}


def _resumed(queue: str | None) -> str:
    if queue is None:
        return _("Schedules were resumed.")
    return _("Queue “%(queue)s” was resumed.") % {"queue": queue}
