"""Running a schedule now: one additional job, which leaves the schedule's times as they are."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from rq.job import Job, JobStatus

from ...core.dispatch.run_now import failure_of
from ...core.exceptions import InvalidScheduleError
from ...core.quoting import quoted_id
from ...core.sensitive import mask
from ...models import Schedule
from ...queues import main_connection
from ..display import TEMPLATES, job_url, list_page, page_context, page_url, schedule_of


def run_now(model_admin: Any, request: HttpRequest, schedule: Schedule) -> Job:
    """Enqueue a job of it, and log that.

    Raises `InvalidScheduleError`, also if the job ran in this process and failed.
    """
    job = schedule.readable_job().enqueue(main_connection())
    failure = failure_of(job)
    text = f"Run now, as job {job.id} in queue {job.origin}"
    model_admin.log_change(
        request, schedule, f"{text}; it failed: {failure}" if failure else f"{text}."
    )
    if failure:
        raise InvalidScheduleError(
            f"schedule {quoted_id(schedule.id)} ran as job {job.id}, which failed: {failure}"
        )
    return job


def run_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Ask, and then run it."""
    schedule = schedule_of(model_admin, request, object_id, model_admin.has_run_permission)
    if request.method != "POST":
        return _confirmation(model_admin, request, schedule)
    try:
        job = run_now(model_admin, request, schedule)
    except InvalidScheduleError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        url = job_url(job.origin, job.id)
        if job.get_status(refresh=False) == JobStatus.FINISHED:
            text = _("Schedule “%(id)s” ran as job") % {"id": schedule.id}
            # RQ keeps no result
            url = url if job.result_ttl != 0 else None
        else:
            text = _("Schedule “%(id)s” was enqueued as job") % {"id": schedule.id}
        link = format_html('<a href="{}">{}</a>', url, job.id) if url else job.id
        model_admin.message_user(request, format_html("{} {}.", text, link), messages.SUCCESS)
    return HttpResponseRedirect(_next_page(model_admin, request, schedule))


def _confirmation(model_admin: Any, request: HttpRequest, schedule: Schedule) -> HttpResponse:
    job = schedule.job
    context = {
        **page_context(model_admin, request, _("Run now?"), schedule),
        "subtitle": str(schedule),
        "schedule": schedule,
        "args": json.dumps(list(job.args), ensure_ascii=False) if job else "",
        "kwargs": json.dumps(mask(job.kwargs), ensure_ascii=False) if job else "",
        "back": _next_page(model_admin, request, schedule),
    }
    return TemplateResponse(request, f"{TEMPLATES}/run_confirmation.html", context)


def _next_page(model_admin: Any, request: HttpRequest, schedule: Schedule) -> str:
    """Where the button was: the list, or its own page, for those who may see it."""
    may_look = model_admin.has_view_or_change_permission(request)
    if "back" in request.POST and may_look:
        return list_page(model_admin, request)
    if model_admin.has_view_or_change_permission(request, schedule):
        return page_url(model_admin, "change", schedule.id)
    return reverse(f"{model_admin.admin_site.name}:index")
