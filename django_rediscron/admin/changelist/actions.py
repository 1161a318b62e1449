"""What one may do with several schedules at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_for_deletion
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.forms import BooleanField
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...core.exceptions import DamagedScheduleError, InvalidScheduleError, NoSuchJobError
from ...core.job import RedisCronJob
from ...core.quoting import quoted_id
from ...models import Schedule
from ...query.queryset import ScheduleQuerySet, connection
from ...terminal import one_line
from ...unreachable import UnreachableError, reaching
from ..log import change_message

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin

MOST_REASONS = 10
"""Refusals that are told one by one."""

Do = Callable[[Schedule], bool]
"""Does it to one schedule; False where there was nothing to do. Raises what `Report` catches."""


@dataclass
class Report:
    """What became of each schedule that was chosen."""

    done: list[Schedule] = field(default_factory=list)
    idle: int = 0
    """As it should be, already."""
    gone: int = 0
    """Deleted since the list was made."""
    refused: dict[str, str] = field(default_factory=dict)
    """Reasons by id."""
    outage: str = ""
    untried: int = 0

    def do(self, schedules: Iterable[Schedule], do: Do) -> None:
        """Do it to each. An outage ends that."""
        chosen = list(schedules)
        for place, schedule in enumerate(chosen):
            try:
                with reaching(connection()):
                    done = do(schedule)
            except UnreachableError as error:
                self.outage, self.untried = str(error), len(chosen) - place
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

    def text(self, done: str) -> str:
        """`3 enabled, 1 was deleted meanwhile.`; `done` says it of those to which it was done."""
        parts = [done] if self.done else []
        for count, told in (
            (
                self.idle,
                ngettext("%(count)d was so already", "%(count)d were so already", self.idle),
            ),
            (
                self.gone,
                ngettext(
                    "%(count)d was deleted meanwhile",
                    "%(count)d were deleted meanwhile",
                    self.gone,
                ),
            ),
            (
                len(self.refused),
                ngettext("%(count)d was refused", "%(count)d were refused", len(self.refused)),
            ),
            (
                self.untried,
                ngettext("%(count)d is left", "%(count)d are left", self.untried),
            ),
        ):
            if count:
                parts.append(told % {"count": count})
        return f"{', '.join(parts)}." if parts else _("Nothing was done.")

    @property
    def level(self) -> int:
        """Of the message."""
        if self.outage or (self.refused and not self.done):
            return messages.ERROR
        if self.refused or self.gone or not self.done:
            return messages.WARNING
        return messages.SUCCESS


class ScheduleActions(Base):
    """Actions, each with its own permission; each tells what became of every schedule."""

    actions: tuple[str, ...] = ("enable_selected", "disable_selected", "delete_selected")

    @admin.action(permissions=["change"], description=gettext_lazy("Enable selected schedules"))
    def enable_selected(self, request: HttpRequest, queryset: Any) -> None:
        """Let them run from now on."""
        report = self._do(request, queryset, lambda schedule: _switch(schedule, True))
        self._log(request, report, change_message({"enabled": "0"}, {"enabled": "1"}))
        count = len(report.done)
        self._tell(request, report, ngettext("%d enabled", "%d enabled", count) % count)

    @admin.action(permissions=["change"], description=gettext_lazy("Disable selected schedules"))
    def disable_selected(self, request: HttpRequest, queryset: Any) -> None:
        """Keep them, but do not run them."""
        report = self._do(request, queryset, lambda schedule: _switch(schedule, False))
        self._log(request, report, change_message({"enabled": "1"}, {"enabled": "0"}))
        count = len(report.done)
        self._tell(request, report, ngettext("%d disabled", "%d disabled", count) % count)

    @admin.action(
        permissions=["delete"],
        description=gettext_lazy("Delete selected %(verbose_name_plural)s"),
    )
    def delete_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask as Django does, and then delete them one by one."""
        chosen = self._chosen(request, queryset)
        protected = self.get_deleted_objects(chosen, request)[3]
        if not request.POST.get("post") or protected:
            return ask_for_deletion(self, request, chosen)
        report = self._do(request, queryset, _delete)
        self.log_deletions(request, report.done)  # type: ignore[arg-type]
        count = len(report.done)
        self._tell(request, report, ngettext("%d deleted", "%d deleted", count) % count)
        return None

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django's own; what the code has locked is protected."""
        locked = [obj for obj in objs if obj.job is not None and obj.job.locked]
        if not locked:
            return super().get_deleted_objects(objs, request)
        told = _("Schedule %(id)s: locked by the code, %(place)s")
        protected = [told % {"id": obj.id, "place": obj.job.place} for obj in locked]
        return [], {}, set(), protected

    # How they are done

    def _chosen(self, request: HttpRequest, queryset: ScheduleQuerySet) -> ScheduleQuerySet:
        """Those that were chosen, though they may meet the filters of the page no more."""
        if BooleanField(required=False).clean(request.POST.get("select_across")):
            return queryset
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        found: Any = self.get_queryset(request).filter(pk__in=selected)
        return cast(ScheduleQuerySet, found)

    def _do(self, request: HttpRequest, queryset: ScheduleQuerySet, do: Do) -> Report:
        chosen = self._chosen(request, queryset)
        report = Report()
        if not BooleanField(required=False).clean(request.POST.get("select_across")):
            selected = set(request.POST.getlist(ACTION_CHECKBOX_NAME))
            report.gone = len(selected - {schedule.id for schedule in chosen})
        report.do(chosen, do)
        return report

    def _log(self, request: HttpRequest, report: Report, message: Any) -> None:
        user: Any = request.user
        if report.done:
            LogEntry.objects.log_actions(user.pk, report.done, CHANGE, message)

    def _tell(self, request: HttpRequest, report: Report, done: str) -> None:
        """One message for all of it, and one for each reason of a refusal."""
        self.message_user(request, report.text(done), report.level)
        for id, reason in list(report.refused.items())[:MOST_REASONS]:
            # Django begins each message with a capital, which an id may not have.
            told = _("Schedule “%(id)s”: %(reason)s") % {"id": id, "reason": reason}
            self.message_user(request, told, messages.ERROR)
        if report.outage:
            self.message_user(request, report.outage, messages.ERROR)


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


def _readable(schedule: Schedule) -> RedisCronJob:
    if schedule.job is None:
        raise InvalidScheduleError(f"it cannot be read: {schedule.damaged}")
    return schedule.job
