"""The actions of the list: each acts on one schedule after the other, and reports on all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_for_deletion
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.forms import BooleanField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from ...core.exceptions import DamagedScheduleError, InvalidScheduleError, NoSuchJobError
from ...core.job import RedisCronJob
from ...core.quoting import quoted_id
from ...models import Schedule
from ...query import ScheduleQuerySet
from ...queues import main_connection
from ...terminal import one_line
from ...unreachable import UnreachableError, reaching
from ..display import TEMPLATES, page_context
from ..log import change_message
from ..one_schedule.disable import TEXT, OffForm
from ..one_schedule.reset import reset_to_code
from ..one_schedule.run_now import run_now

MOST_REASONS = 10
"""Reasons of refusals in one report."""

MOST_NAMED = 100
"""Schedules that a confirmation names."""

Do = Callable[[Schedule], bool]
"""Does something to one schedule; False if nothing had to be done. Raises what `Report` catches."""


@admin.action(permissions=["change"], description=gettext_lazy("Enable selected schedules"))
def enable_selected(model_admin: Any, request: HttpRequest, queryset: Any) -> None:
    """Let them run from now on."""
    report = _do(model_admin, request, queryset, lambda schedule: _switch(schedule, True))
    _log(request, report, change_message({"enabled": "0"}, {"enabled": "1"}))
    _tell(model_admin, request, report, ngettext_lazy("%d enabled", "%d enabled"))


@admin.action(permissions=["change"], description=gettext_lazy("Disable selected schedules"))
def disable_selected(model_admin: Any, request: HttpRequest, queryset: Any) -> None:
    """Keep them, but do not run them."""
    report = _do(model_admin, request, queryset, lambda schedule: _switch(schedule, False))
    _log(request, report, change_message({"enabled": "1"}, {"enabled": "0"}))
    _tell(model_admin, request, report, ngettext_lazy("%d disabled", "%d disabled"))


@admin.action(
    permissions=["change"],
    description=gettext_lazy("Disable selected schedules with a reason or until a time"),
)
def disable_selected_until(
    model_admin: Any, request: HttpRequest, queryset: Any
) -> HttpResponse | None:
    """Ask why and until when, and then disable them, also those that are disabled already."""
    form = OffForm.sent(request)
    if not form.is_valid():
        title, button = _("Disable?"), _("Disable")
        return _confirm(model_admin, request, queryset, title, str(TEXT), button, form)

    def disable(schedule: Schedule) -> bool:
        _readable(schedule).disable(**form.cleaned_data)
        return True

    report = _do(model_admin, request, queryset, disable)
    _log(request, report, form.describe())
    _tell(model_admin, request, report, ngettext_lazy("%d disabled", "%d disabled"))
    return None


@admin.action(
    permissions=["delete"], description=gettext_lazy("Delete selected %(verbose_name_plural)s")
)
def delete_selected(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
    """Ask as Django does, and then delete them one by one."""
    selected = _selected(model_admin, request, queryset)
    protected = model_admin.get_deleted_objects(selected, request)[3]
    if not request.POST.get("post") or protected:
        return ask_for_deletion(model_admin, request, selected)
    report = _do(model_admin, request, queryset, _delete)
    model_admin.log_deletions(request, report.done)
    _tell(model_admin, request, report, ngettext_lazy("%d deleted", "%d deleted"))
    return None


@admin.action(permissions=["run"], description=gettext_lazy("Run selected schedules now"))
def run_selected(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
    """Ask, and then enqueue one job of each."""
    if not request.POST.get("post"):
        text = _("This enqueues one job of each of these schedules at once.")
        return _confirm(model_admin, request, queryset, _("Run now?"), text, _("Run now"))
    report = _do(
        model_admin, request, queryset, lambda each: bool(run_now(model_admin, request, each))
    )
    _tell(model_admin, request, report, ngettext_lazy("%d enqueued", "%d enqueued"))
    return None


@admin.action(permissions=["change"], description=gettext_lazy("Reset selected schedules to code"))
def reset_selected(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
    """Ask, and then return all fields that people changed to the values of the code."""
    if not request.POST.get("post"):
        text = _(
            "What was changed in these schedules since the code declared them is lost. Those "
            "that no code declares stay as they are."
        )
        return _confirm(model_admin, request, queryset, _("Reset to code?"), text, _("Reset"))
    report = _do(
        model_admin, request, queryset, lambda each: bool(reset_to_code(model_admin, request, each))
    )
    _tell(model_admin, request, report, ngettext_lazy("%d reset", "%d reset"))
    return None


# What is done to one schedule


def _readable(schedule: Schedule) -> RedisCronJob:
    if schedule.job is None:
        raise InvalidScheduleError(f"it cannot be read: {schedule.damaged}")
    return schedule.job


def _switch(schedule: Schedule, enabled: bool) -> bool:
    job = _readable(schedule)
    if job.enabled == enabled:
        return False
    if enabled:
        job.enable()
    else:
        job.disable()
    return True


def _delete(schedule: Schedule) -> bool:
    if not schedule.delete()[0]:
        raise NoSuchJobError(f"there is no schedule {quoted_id(schedule.id)}")
    return True


# All of them

IDLE = ngettext_lazy("%(count)d was so already", "%(count)d were so already", "count")
GONE = ngettext_lazy("%(count)d was deleted meanwhile", "%(count)d were deleted meanwhile", "count")
REFUSED = ngettext_lazy("%(count)d was refused", "%(count)d were refused", "count")
UNTRIED = ngettext_lazy("%(count)d is left", "%(count)d are left", "count")


@dataclass
class Report:
    """What happened to each selected schedule."""

    done: list[Schedule] = field(default_factory=list)
    idle: int = 0
    """Nothing had to be done."""
    gone: int = 0
    """Deleted since the list was shown."""
    refused: dict[str, str] = field(default_factory=dict)
    """Reasons by id."""
    outage: str = ""
    untried: int = 0
    """Left undone because of the outage."""

    def do(self, schedules: Iterable[Schedule], do: Do) -> None:
        """Do it to each, until an outage of Redis."""
        selected = list(schedules)
        for place, schedule in enumerate(selected):
            try:
                with reaching(main_connection()):
                    done = do(schedule)
            except UnreachableError as error:
                self.outage, self.untried = str(error), len(selected) - place
                return
            except NoSuchJobError:
                self.gone += 1
            except (InvalidScheduleError, DamagedScheduleError) as error:
                self.refused[schedule.id] = one_line(str(error))
            else:
                if done:
                    self.done.append(schedule)
                else:
                    self.idle += 1

    def text(self, done: Any) -> str:
        """`3 enabled, 1 was deleted meanwhile.`; `done` is the lazy text of what was done."""
        parts = [
            text % {"count": count}
            for count, text in (
                (self.idle, IDLE),
                (self.gone, GONE),
                (len(self.refused), REFUSED),
                (self.untried, UNTRIED),
            )
            if count
        ]
        if self.done:
            parts.insert(0, done % len(self.done))
        return f"{', '.join(parts)}." if parts else _("Nothing was done.")

    @property
    def level(self) -> int:
        """The level of the message."""
        if self.outage or (self.refused and not self.done):
            return messages.ERROR
        if self.refused or self.gone or not self.done:
            return messages.WARNING
        return messages.SUCCESS


def _selects_across(request: HttpRequest) -> bool:
    return bool(BooleanField(required=False).clean(request.POST.get("select_across")))


def _selected(
    model_admin: Any, request: HttpRequest, queryset: ScheduleQuerySet
) -> ScheduleQuerySet:
    """The selected schedules, even those that no longer match the filters of the page."""
    if _selects_across(request):
        return queryset
    ids = request.POST.getlist(ACTION_CHECKBOX_NAME)
    return cast(ScheduleQuerySet, model_admin.get_queryset(request).filter(pk__in=ids))


def _do(model_admin: Any, request: HttpRequest, queryset: ScheduleQuerySet, do: Do) -> Report:
    selected = _selected(model_admin, request, queryset)
    report = Report()
    if not _selects_across(request):
        ids = set(request.POST.getlist(ACTION_CHECKBOX_NAME))
        report.gone = len(ids - {schedule.id for schedule in selected})
    report.do(selected, do)
    return report


def _log(request: HttpRequest, report: Report, message: Any) -> None:
    user: Any = request.user
    if report.done:
        LogEntry.objects.log_actions(user.pk, report.done, CHANGE, message)


def _tell(model_admin: Any, request: HttpRequest, report: Report, done: Any) -> None:
    """One message for all schedules, and one for each reason of a refusal."""
    model_admin.message_user(request, report.text(done), report.level)
    for id, reason in list(report.refused.items())[:MOST_REASONS]:
        # Django capitalizes the beginning of each message, which must not happen to an id.
        text = _("Schedule “%(id)s”: %(reason)s") % {"id": id, "reason": reason}
        model_admin.message_user(request, text, messages.ERROR)
    if report.outage:
        model_admin.message_user(request, report.outage, messages.ERROR)


def _confirm(
    model_admin: Any,
    request: HttpRequest,
    queryset: ScheduleQuerySet,
    title: str,
    text: str,
    button: str,
    form: OffForm | None = None,
) -> HttpResponse:
    selected = _selected(model_admin, request, queryset)
    schedules: list[Schedule] = list(selected[:MOST_NAMED])
    count = len(schedules) if len(schedules) < MOST_NAMED else selected.count()
    # What the page of the list sent, without its second menu and the token.
    sent = {name: request.POST.getlist(name) for name in (ACTION_CHECKBOX_NAME, "action")}
    sent["action"] = [name for name in sent["action"] if name][:1]
    sent["select_across"] = [request.POST.get("select_across", "0")]
    context = {
        **page_context(model_admin, request, title),
        "text": text,
        "button": button,
        "schedules": schedules,
        "count": count,
        "more": count - len(schedules),
        "sent": [(name, value) for name, values in sent.items() for value in values],
        "form": form,
    }
    if form is not None:
        context["media"] = model_admin.media + form.media
    return TemplateResponse(request, f"{TEMPLATES}/confirm_selected.html", context)
