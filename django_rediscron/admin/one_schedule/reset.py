"""Resetting a schedule: overridden fields get the values of the code again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from ...core.exceptions import InvalidScheduleError, NoSuchJobError
from ...core.quoting import quoted_id
from ...models import Schedule
from ..display import page_url
from ..log import change_message, changed_fields, definition, label


def reset_to_code(
    model_admin: Any, request: HttpRequest, schedule: Schedule, fields: tuple[str, ...] = ()
) -> list[str]:
    """Reset these fields, or all, and log that; returns the fields that changed.

    Raises `InvalidScheduleError` and `NoSuchJobError`.
    """
    job = schedule.job
    if job is None:
        raise InvalidScheduleError(f"schedule {quoted_id(schedule.id)} cannot be read")
    before = definition(job)
    job.reset(*fields)
    after = definition(job)
    message = change_message(before, after)
    if message:
        model_admin.log_change(request, schedule, message)
    return changed_fields(before, after)


def reset_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Reset the field whose button was pressed or, without a field, all of them."""
    id = unquote(object_id)
    schedule = model_admin.get_object(request, id)
    if not model_admin.has_change_permission(request, schedule):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if schedule is None:
        raise Http404(_("There is no schedule %(id)r.") % {"id": id})
    fields = tuple(filter(None, request.POST.getlist("field")))
    try:
        changed = reset_to_code(model_admin, request, schedule, fields)
    except (InvalidScheduleError, NoSuchJobError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        names = get_text_list([label(name) for name in changed], _("and"))
        text = _("Reset to code: %s.") % names if names else _("Already matches the code.")
        model_admin.message_user(request, text, messages.SUCCESS if names else messages.INFO)
    return HttpResponseRedirect(page_url(model_admin, "change", id))
