"""Enabling a schedule with one click, and taking that back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _
from rq.utils import now

from ...core.exceptions import InvalidScheduleError, NoSuchJobError
from ...core.job import RedisCronJob
from ...core.schedule.texts import parse_time
from ...core.timing.cron_times import utc_text
from ...queues import main_connection
from ..display import list_page, page_url, schedule_of
from ..log import change_message, definition

FORM = "rediscron-act"
"""The form of the list's buttons; what they send goes to their own addresses."""

_SALT = "django_rediscron.enable"


def enable_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Enable it or, with `undo`, disable it as it was; then go back to the list."""
    schedule = schedule_of(model_admin, request, object_id, model_admin.has_change_permission)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    before = definition(schedule.readable_job())
    try:
        if "undo" in request.POST:
            text = _undo(schedule.readable_job(), request.POST["undo"])
        else:
            text = _enable(model_admin, schedule.readable_job())
    except (InvalidScheduleError, NoSuchJobError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        change = change_message(before, definition(schedule.readable_job()))
        if change:
            model_admin.log_change(request, schedule, change)
        model_admin.message_user(request, text, messages.SUCCESS if change else messages.WARNING)
    return HttpResponseRedirect(list_page(model_admin, request))


def _enable(model_admin: Any, job: RedisCronJob) -> str:
    if job.enabled:
        return _("Schedule “%(id)s” was enabled already.") % {"id": job.id}
    until = job.off.until
    facts = {"reason": job.off.reason, "until": utc_text(until) if until else ""}
    job.enable()
    facts["version"] = RedisCronJob.fetch(job.id, main_connection()).version or ""
    return format_html(
        '{} <button form="{}" formaction="{}" name="undo" value="{}" class="button">{}</button>',
        _("Schedule “%(id)s” was enabled.") % {"id": job.id},
        FORM,
        page_url(model_admin, "enable", job.id),
        signing.dumps([job.id, facts], salt=_SALT),
        _("Undo"),
    )


def _undo(job: RedisCronJob, sent: str) -> str:
    """Disable it for the same reason and until the same time as before."""
    try:
        id, facts = signing.loads(sent, salt=_SALT)
    except signing.BadSignature:
        id, facts = "", {}
    if id != job.id or job.version != facts["version"]:
        return _("Nothing was undone: schedule “%(id)s” was changed since.") % {"id": job.id}
    until = parse_time(facts["until"]) if facts["until"] else None
    if until is not None and until <= now():
        return _("Nothing was undone: schedule “%(id)s” would be enabled by now.") % {"id": job.id}
    job.disable(reason=facts["reason"], until=until)
    return _("Schedule “%(id)s” is disabled again.") % {"id": job.id}
