"""Going back to what the code declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import reverse
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from ...core.exceptions import InvalidScheduleError, NoSuchJobError
from ...core.quoting import quoted_id
from ...models import Schedule
from ..labels import label
from ..log import change_message, changed_fields, definition

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin


class ScheduleReset(Base):
    """Reset: overridden fields get the values of the code again."""

    def reset_to_code(
        self, request: HttpRequest, schedule: Schedule, fields: tuple[str, ...] = ()
    ) -> list[str]:
        """Reset these fields, or all, and enter it in the log; the fields that changed.

        Raises `InvalidScheduleError` and `NoSuchJobError`.
        """
        job = schedule.job
        if job is None:
            raise InvalidScheduleError(f"schedule {quoted_id(schedule.id)} cannot be read")
        before = definition(job)
        job.reset(*fields)
        after = definition(job)
        message: Any = change_message(before, after)
        if message:
            self.log_change(request, schedule, message)
        return changed_fields(before, after)

    def reset_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button beside an overridden field; without a field, that for all of them."""
        id = unquote(object_id)
        schedule = self.get_object(request, id)
        if not self.has_change_permission(request, schedule):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if schedule is None:
            raise Http404(_("There is no schedule %(id)r.") % {"id": id})
        fields = tuple(filter(None, request.POST.getlist("field")))
        try:
            changed = self.reset_to_code(request, schedule, fields)
        except (InvalidScheduleError, NoSuchJobError) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            names = get_text_list([label(name) for name in changed], _("and"))
            told = _("Reset to code: %s.") % names if names else _("It says what the code says.")
            self.message_user(request, told, messages.SUCCESS if names else messages.INFO)
        page = f"{self.admin_site.name}:django_rediscron_schedule_change"
        return HttpResponseRedirect(reverse(page, args=[quote(id)]))
