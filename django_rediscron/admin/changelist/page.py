"""The list page: schedules with their last runs, the banner, and how both are refreshed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from redis import Redis

from ...core.exceptions import InvalidScheduleError
from ...core.store.pauses import Pause, pause_of, read_pauses
from ...core.store.search import NamesInUse, NamesMemory
from ...core.timing.zones import find_zone
from ...models import Schedule
from ...queues import main_connection
from ...unreachable import UnreachableError, reaching
from ..display import RECENT_RUNS, page_url
from ..runs import recent_runs
from . import banner, pauses
from .columns import buttons, current_state, last_run, next_run
from .filters import OWN_ZONE, ScheduleFilter, ZoneChoice

MOST_ROWS = 500
"""Rows that one request can refresh."""

CHANGING = (next_run, buttons, last_run, current_state)
"""Columns that the page refreshes, because they change by themselves."""


class ScheduleChangeList(ChangeList):
    """The schedules of one page. During an outage of Redis it is empty; a POST raises
    `UnreachableError`."""

    outage = ""
    """Why Redis is unavailable."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        try:
            with reaching(main_connection()):
                self.pauses = read_pauses(main_connection())
                self.names_in_use = _names_memory(main_connection()).read()
                super().__init__(request, *args, **kwargs)
                if request.method != "POST":
                    self.result_list = with_last_runs(
                        self.result_list, self.pauses, self.model_admin, request
                    )
        except UnreachableError as error:
            if request.method == "POST":
                raise
            self.outage = str(error)
            self.pauses = []
            self.names_in_use = NamesInUse()
            super().__init__(request, *args, **kwargs)

    def get_filters(self, request: HttpRequest) -> Any:
        """Django's own; they share one reading of the names in use, and of the pauses."""
        filters: Any = [
            partial(each, names_in_use=self.names_in_use, pauses=self.pauses)
            if isinstance(each, type) and issubclass(each, ScheduleFilter)
            else each
            for each in self.list_filter
        ]
        self.list_filter = filters
        return super().get_filters(request)

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Django's own; empty during an outage."""
        found = super().get_queryset(request, *args, **kwargs)
        return found.none() if self.outage else found


def with_last_runs(
    schedules: Iterable[Schedule], paused: Sequence[Pause], model_admin: Any, request: HttpRequest
) -> list[Schedule]:
    """These schedules, each with its `recent_runs`, the `pause` that concerns it, the zone that
    the request asks for, and the buttons that the user may press."""
    found = list(schedules)
    runs = recent_runs([schedule.id for schedule in found], main_connection(), RECENT_RUNS)
    in_own_zones = request.GET.get(ZoneChoice.parameter_name) == OWN_ZONE
    for schedule in found:
        schedule.buttons = _buttons(schedule, model_admin, request)
        schedule.shown_zone = _own_zone(schedule) if in_own_zones else None
        schedule.recent_runs = runs[schedule.id]
        schedule.pause = pause_of(schedule.queue_name, paused)
    return found


def add_banner(model_admin: Any, request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Add the banner, and what is paused, to the page."""
    context: dict[str, Any] = getattr(response, "context_data", None) or {}
    if "cl" in context:
        outage = context["cl"].outage
        url = page_url(model_admin, "changelist")
        context["banner"] = (
            banner.unreachable(outage)
            if outage
            else banner.read_banner(url, context["cl"].names_in_use.queues)
        )
        may_resume = model_admin.has_change_permission(request)
        context["pauses"] = pauses.render(context["cl"].pauses, url, may_resume=may_resume)
        context["resume_url"] = page_url(model_admin, "resume") if may_resume else ""
        context["refresh_url"] = page_url(model_admin, "refresh") + _zone_query(request)
        context["timeline_url"] = page_url(model_admin, "timeline")
        context["add_url"] = page_url(model_admin, "add")
        context["deleted_url"] = page_url(model_admin, "deleted_list")
    return response


def refresh(model_admin: Any, request: HttpRequest) -> JsonResponse:
    """The banner, what is paused, cells of `CHANGING` by id and column, and as `gone` the ids that
    do not exist.

    It changes nothing; it is a POST because the ids of a page would make a long URL.
    """
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    ids = request.POST.getlist("id")[:MOST_ROWS]
    try:
        with reaching(main_connection()):
            paused = read_pauses(main_connection())
            queues = _names_memory(main_connection()).read().queues
            asked = model_admin.get_queryset(request).filter(pk__in=ids)
            found = with_last_runs(asked, paused, model_admin, request)
    except UnreachableError as error:
        shown = banner.render(banner.unreachable(str(error)))
        return JsonResponse({"banner": shown, "rows": {}, "gone": []}, status=503)
    may_resume = model_admin.has_change_permission(request)
    url = page_url(model_admin, "changelist")
    rows = {each.id: {cell.__name__: cell(each) for cell in CHANGING} for each in found}
    return JsonResponse(
        {
            "banner": banner.render(banner.read_banner(url, queues)),
            "pauses": pauses.render(paused, url, may_resume=may_resume),
            "rows": rows,
            "gone": [id for id in ids if id not in rows],
            "goneText": _("deleted"),
        }
    )


def _buttons(schedule: Schedule, model_admin: Any, request: HttpRequest) -> list[tuple[str, str]]:
    found = []
    if schedule.job is not None and model_admin.has_run_permission(request, schedule):
        found.append((_("Run"), page_url(model_admin, "run", schedule.id)))
    is_off = schedule.state == "disabled"
    if is_off and model_admin.has_change_permission(request, schedule):
        found.append((_("Enable"), page_url(model_admin, "enable", schedule.id)))
    return found


def _own_zone(schedule: Schedule) -> tzinfo | None:
    """In which its cron expression is read; None for an interval."""
    if schedule.job is None or not schedule.job.cron:
        return None
    try:
        return find_zone(schedule.timezone or settings.TIME_ZONE)
    except InvalidScheduleError:
        return None


def _zone_query(request: HttpRequest) -> str:
    name = ZoneChoice.parameter_name
    return f"?{name}={OWN_ZONE}" if request.GET.get(name) == OWN_ZONE else ""


@lru_cache(maxsize=8)
def _names_memory(client: Redis) -> NamesMemory:
    return NamesMemory(client)
