"""A new schedule made from one that there is: the form to add it, filled in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ...core.quoting import LONGEST_ID
from ...models import Schedule
from ..display import page_url
from .values import values_of

PARAMETER = "copy"
"""Of the address of the form to add a schedule: the id of the one to copy."""

_SUFFIX = "-copy"


def copy_url(model_admin: Any, schedule: Schedule) -> str:
    """The address of the form for a copy of this schedule."""
    return f"{page_url(model_admin, 'add')}?{urlencode({PARAMETER: schedule.id})}"


def copied_values(model_admin: Any, request: HttpRequest, id: str) -> dict[str, Any]:
    """What the form for a copy of this schedule shows: sensitive arguments are masked, and have to
    be entered again. Without such a schedule, an empty form, and a message."""
    schedule = model_admin.get_object(request, id)
    if not model_admin.has_view_or_change_permission(request, schedule):
        raise PermissionDenied
    if schedule is None or schedule.job is None:
        text = _("There is no schedule “%(id)s” that could be copied.")
        model_admin.message_user(request, text % {"id": id}, messages.ERROR)
        return {}
    if schedule.job.job_options.get("webhooks"):
        text = _("The webhooks of “%(id)s” are not copied: only code can set them.")
        model_admin.message_user(request, text % {"id": id}, messages.WARNING)
    return {**values_of(schedule.job), "id": f"{id[: LONGEST_ID - len(_SUFFIX)]}{_SUFFIX}"}
