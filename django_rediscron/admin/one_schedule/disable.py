"""Disabling schedules with a reason and an end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rq.utils import now

from ...core.exceptions import InvalidScheduleError, NoSuchJobError
from ...core.schedule.option_checks import LONGEST_REASON, check_end, check_reason
from ...models import Schedule
from ..display import TEMPLATES, absolute, page_context, page_url, schedule_of
from ..form_fields.timing import MomentField
from ..form_fields.widgets import LabelledForm

TEXT = gettext_lazy(
    "Disabled schedules do not run. Runs that they miss meanwhile are not caught up."
)


class OffForm(LabelledForm):
    """Why, and until when."""

    reason = forms.CharField(
        label=gettext_lazy("reason"),
        required=False,
        max_length=LONGEST_REASON,
        help_text=gettext_lazy("Shown wherever the schedule is disabled."),
    )
    until = MomentField(
        label=gettext_lazy("until"),
        help_text=gettext_lazy("The scheduler enables it then. Leave empty for no end."),
    )

    def clean_reason(self) -> str:
        """One line."""
        try:
            return check_reason(self.cleaned_data["reason"])
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None

    def clean_until(self) -> datetime | None:
        """In the future."""
        try:
            return check_end("until", self.cleaned_data["until"], now())
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None

    def describe(self) -> str:
        """For Django's log: `Disabled until TIME: REASON`."""
        until, reason = self.cleaned_data["until"], self.cleaned_data["reason"]
        text = f"Disabled until {absolute(until)}" if until else "Disabled"
        return f"{text}: {reason}" if reason else f"{text}."

    @classmethod
    def sent(cls, request: HttpRequest) -> OffForm:
        """What the page of this form sent; an empty one if another page did."""
        return cls(request.POST) if request.POST.get("post") else cls()


def disable_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Ask for the reason and the end, and disable it."""
    schedule = schedule_of(model_admin, request, object_id, model_admin.has_change_permission)
    form, back = OffForm.sent(request), page_url(model_admin, "change", schedule.id)
    if not form.is_valid():
        return _form_page(model_admin, request, schedule, form, back)
    try:
        schedule.readable_job().disable(**form.cleaned_data)
    except (InvalidScheduleError, NoSuchJobError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        model_admin.log_change(request, schedule, form.describe())
        text = _("Schedule “%(id)s” was disabled.") % {"id": schedule.id}
        model_admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(back)


def _form_page(
    model_admin: Any, request: HttpRequest, schedule: Schedule, form: OffForm, back: str
) -> HttpResponse:
    context = {
        **page_context(model_admin, request, _("Disable?"), schedule),
        "text": TEXT,
        "button": _("Disable"),
        "schedules": [schedule],
        "count": 1,
        "form": form,
        "back": back,
    }
    context["media"] = context.get("media", forms.Media()) + model_admin.media + form.media
    return TemplateResponse(request, f"{TEMPLATES}/confirm_selected.html", context)
