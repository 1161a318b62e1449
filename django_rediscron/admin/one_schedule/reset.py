"""Resetting a schedule: overridden fields get the values of the code again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from ...core.exceptions import InvalidScheduleError, NoSuchJobError
from ...models import Schedule
from ..display import page_url, schedule_of
from ..log import change_message, changed_fields, definition, label


def reset_to_code(
    model_admin: Any, request: HttpRequest, schedule: Schedule, fields: tuple[str, ...] = ()
) -> list[str]:
    """Reset these fields, or all, and log that; returns the fields that changed.

    Raises `InvalidScheduleError` and `NoSuchJobError`.
    """
    job = schedule.readable_job()
    before = definition(job)
    job.reset(*fields)
    after = definition(job)
    message = change_message(before, after)
    if message:
        model_admin.log_change(request, schedule, message)
    return changed_fields(before, after)


def reset_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Reset the field whose button was pressed or, without a field, all of them."""
    schedule = schedule_of(model_admin, request, object_id, model_admin.has_change_permission)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    fields = tuple(filter(None, request.POST.getlist("field")))
    try:
        changed = reset_to_code(model_admin, request, schedule, fields)
    except (InvalidScheduleError, NoSuchJobError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        names = get_text_list([label(name) for name in changed], _("and"))
        text = _("Reset to code: %s.") % names if names else _("Already matches the code.")
        model_admin.message_user(request, text, messages.SUCCESS if names else messages.INFO)
    return HttpResponseRedirect(page_url(model_admin, "change", schedule.id))
