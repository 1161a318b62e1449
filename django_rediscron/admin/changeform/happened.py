"""What stands above the form of a schedule: its state, what happened, and buttons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from ...core.job import RedisCronJob
from ...core.store.pauses import pause_of, read_pauses
from ...models import Schedule
from ...queues import main_connection
from ..changelist.columns import STATES, badges, last_run, next_run, timing
from ..display import TEMPLATES, absolute, outcome, page_url, schedule_of
from ..form_fields.job import fixed_fields
from ..log import who_and_when
from ..one_schedule.details import Details, read_details
from ..one_schedule.revert import may_revert
from ..timeline.around import around
from .copying import copy_url


def happened_page(model_admin: Any, request: HttpRequest, object_id: str) -> TemplateResponse:
    """What stands above the form, as a piece of HTML with which a script refreshes the page."""
    may_look = model_admin.has_view_or_change_permission
    schedule = schedule_of(model_admin, request, object_id, may_look)
    context = {**happened_context(model_admin, request, schedule), "original": schedule}
    return TemplateResponse(request, f"{TEMPLATES}/happened.html", context)


def happened_context(model_admin: Any, request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    """The state of the schedule, its runs, and the addresses of what can be done with it."""
    job = schedule.job
    details = read_details(schedule, main_connection(), request.GET)
    context: dict[str, Any] = {
        "details": details,
        "job": job,
        "happened_url": page_url(model_admin, "happened", schedule.id),
    }
    if may_revert(model_admin, request, schedule):
        context["revert_url"] = page_url(model_admin, "revert", schedule.id)
    if model_admin.has_view_permission(request, schedule):
        context["json_url"] = page_url(model_admin, "json", schedule.id)
    if job is None:
        return context
    if model_admin.has_add_permission(request):
        context["copy_url"] = copy_url(model_admin, schedule)
    if model_admin.has_run_permission(request, schedule):
        context["run_url"] = page_url(model_admin, "run", schedule.id)
    if model_admin.has_change_permission(request, schedule):
        context["reset_url"] = page_url(model_admin, "reset", schedule.id)
        context["disable_url"] = page_url(model_admin, "disable", schedule.id)
        context["fixed_function"] = bool(fixed_fields(job))
    schedule.recent_runs = details.latest_runs
    schedule.pause = pause_of(schedule.queue_name, read_pauses(main_connection()))
    context["facts"] = list(_facts(schedule, job))
    context["around"] = around(model_admin, schedule)
    context["news"] = _news(schedule)
    context["changed"] = _changed(details)
    if job.last_error_at is not None:
        context["last_error_at"] = absolute(job.last_error_at)
    return context


def _facts(schedule: Schedule, job: RedisCronJob) -> Iterable[tuple[str, Any]]:
    yield _("State"), badges(schedule)  # the whole error follows below
    if schedule.shown_state == "paused" and schedule.pause is not None:
        yield _("Paused"), schedule.pause.describe(absolute)
    if not job.enabled and job.off.describe(absolute):
        yield _("Disabled"), job.off.describe(absolute)
    yield _("Runs"), timing(schedule)
    yield _("Next run"), next_run(schedule)
    yield _("Last runs"), last_run(schedule)
    if job.max_runs is not None:
        yield _("Runs so far"), f"{job.runs} / {job.max_runs}"


def _news(schedule: Schedule) -> str:
    """What is read out when it changes: no times, which change all the while."""
    parts = [str(STATES[schedule.shown_state])]
    if schedule.recent_runs:
        parts.append(_("last run: %s") % outcome(schedule.recent_runs[0]))
    return "; ".join(parts)


def _changed(details: Details) -> str:
    """What a page is told that shows an earlier version."""
    newest = next(iter(details.log.changes), None)
    who = who_and_when(newest) if newest is not None else _("somebody else")
    text = _(
        "Changed meanwhile by %(who)s. What you typed is still here: save it to see how both "
        "differ, or load the page again."
    )
    return text % {"who": who}
