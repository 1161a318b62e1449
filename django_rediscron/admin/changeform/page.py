"""The pages on which a schedule is added, changed and looked at."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import flatten, flatten_fieldsets, unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import localize
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...core.exceptions import InvalidScheduleError, NoSuchJobError, ScheduleChangedError
from ...core.schedule.options import TIME_DEFAULTS
from ...models import Schedule
from ...use_tz import local
from ..labels import LABELS
from ..log import change_message, definition
from .form import ScheduleForm, fixed_fields
from .preview import preview
from .values import values_of

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin

GROUPS: tuple[tuple[Any, tuple[str | tuple[str, ...], ...], bool], ...] = (
    (None, ("id", "name", "enabled"), True),
    (gettext_lazy("What runs"), ("func_name", "args", "kwargs", "queue_name"), True),
    (gettext_lazy("When"), ("interval", ("cron", "timezone"), "preview"), True),
    (
        gettext_lazy("From when, until when, how exactly"),
        (("start_at", "end_at"), ("max_runs", "jitter")),
        False,
    ),
    (
        gettext_lazy("Late and overlapping runs"),
        (("catch_up", "catch_up_limit"), "misfire_grace", "overlap"),
        False,
    ),
    (
        gettext_lazy("The job in RQ"),
        (
            ("job_timeout", "ttl"),
            ("result_ttl", "failure_ttl"),
            ("retry_max", "retry_intervals"),
            "at_front",
            "on_success",
            "on_failure",
            "on_stopped",
            "description",
            "meta",
        ),
        False,
    ),
)
"""Heading, lines of fields, and whether they are shown where all have their defaults."""

TEMPLATES = "admin/django_rediscron/schedule"


class ScheduleChange(Base):
    """Add form and change form."""

    form = ScheduleForm
    change_form_template = f"{TEMPLATES}/change_form.html"

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """One that is locked by the code, or cannot be read, is changed by nobody."""
        return super().has_change_permission(request, obj) and not _is_fixed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """One that is locked by the code is deleted by nobody."""
        return super().has_delete_permission(request, obj) and not _is_locked(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """The preview; of what is stored the id, and what is fixed."""
        if obj is None:
            return ("preview",)
        return ("preview", "id", *map(_text_of, fixed_fields(obj.job) if obj.job else ()))

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """The form's fields in groups; what cannot be changed as text."""
        if obj is None:
            return [_fieldset(*group) for group in GROUPS]
        if obj.job is None:
            return [(None, {"fields": ("id", "func_name", "queue_name")})]
        job = obj.job
        if self.has_change_permission(request, obj):
            fixed: tuple[str, ...] = fixed_fields(job)
        else:
            fixed = tuple(each for group in GROUPS for line in group[1] for each in _names(line))
        values = values_of(job)
        groups = []
        texts = frozenset(fixed) & values.keys()
        for heading, lines, shown in GROUPS:
            fields = tuple(_line(line, texts) for line in lines)
            names = [name for line in lines for name in _names(line)]
            is_open = shown or any(_says_something(name, values.get(name)) for name in names)
            groups.append(_fieldset(heading, fields, is_open))
        if self.has_change_permission(request, obj):
            groups[0][1]["fields"] = (*groups[0][1]["fields"], "base")
        return groups

    def get_form(
        self, request: Any, obj: Schedule | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form; with why the core refused it, where it did."""
        names = kwargs.pop("fields", None) or flatten_fieldsets(self.get_fieldsets(request, obj))
        fields = [name for name in names if isinstance(name, str)]
        form: Any = super().get_form(request, obj, change, fields=fields, **kwargs)
        refusal = getattr(request, "_rediscron_refusal", None)
        return type(form)(form.__name__, (form,), {"refusal": refusal}) if refusal else form

    @admin.display(description=gettext_lazy("next runs"))
    def preview(self, obj: Schedule) -> SafeString:
        """The next runs, which a script brings up to what one types."""
        found = preview(obj.job) if obj.job is not None else None
        context = {
            "preview": found,
            "url": reverse(f"{self.admin_site.name}:django_rediscron_schedule_preview"),
            "id": obj.job.id if obj.job is not None else "",
        }
        return render_to_string(f"{TEMPLATES}/preview_field.html", context)

    def render_change_form(
        self, request: Any, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Django's own, with every group open that holds an error."""
        shown = context["adminform"]
        shown.fieldsets = [_opened(shown.form, *group) for group in shown.fieldsets]
        return super().render_change_form(request, context, *args, **kwargs)

    # Saving

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Django's own, which learns here what Redis said to a form that seemed right."""
        page = partial(super().changeform_view, request, object_id, form_url, extra_context)
        if request.method == "POST" and object_id is not None and self._is_gone(request, object_id):
            return self._deleted_meanwhile(request, unquote(object_id))
        try:
            return page()
        except ScheduleChangedError:
            # Between reading and writing: read again, and the form tells the differences.
            return page()
        except InvalidScheduleError as error:
            request._rediscron_refusal = error  # type: ignore[attr-defined]
            return page()
        except NoSuchJobError:
            return self._deleted_meanwhile(request, unquote(object_id or ""))

    def save_model(self, request: Any, obj: Schedule, form: Any, change: bool) -> None:
        """Write it to Redis, over nothing but what was loaded."""
        form.write()

    def construct_change_message(
        self, request: Any, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Old and new values."""
        if add or form.stored is None:
            return super().construct_change_message(request, form, formsets, add)
        return change_message(definition(form.stored), definition(form.job))

    def _is_gone(self, request: HttpRequest, object_id: str) -> bool:
        return self.has_view_or_change_permission(request) and (
            self.get_object(request, unquote(object_id)) is None
        )

    def _deleted_meanwhile(self, request: HttpRequest, id: str) -> HttpResponse:
        told = _("Nothing was saved: schedule “%(id)s” was deleted %(who)s.")
        self.message_user(request, told % {"id": id, "who": _deleted_by(id)}, messages.ERROR)
        page = "changelist" if self.has_view_permission(request) else None
        name = f"{self.admin_site.name}:"
        name += f"django_rediscron_schedule_{page}" if page else "index"
        return HttpResponseRedirect(reverse(name))


def _names(line: str | tuple[str, ...]) -> tuple[str, ...]:
    return (line,) if isinstance(line, str) else line


def _line(line: str | tuple[str, ...], texts: Container[str]) -> Any:
    """One line of a form, with what cannot be changed as text."""
    fields = tuple(_text_of(name) if name in texts else name for name in _names(line))
    return fields[0] if isinstance(line, str) else fields


def _says_something(name: str, value: Any) -> bool:
    """Whether a value is of interest; how long to keep results is none, each queue has its own."""
    default: tuple[Any, ...] = (None, "", False, [], {}, TIME_DEFAULTS.get(name))
    return name != "result_ttl" and value not in default


def _fieldset(heading: Any, fields: tuple[Any, ...], is_open: bool) -> tuple[Any, dict[str, Any]]:
    return heading, {"fields": fields, "classes": () if is_open else ("collapse",)}


def _opened(form: Any, heading: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The group, open if one of its fields is wrong; Django overlooks those that share a line."""
    names = flatten(options["fields"])
    if form.errors.keys() & {name for name in names if isinstance(name, str)}:
        options = {**options, "classes": ()}
    return heading, options


@cache
def _text_of(name: str) -> Callable[[Schedule], str]:
    """A column of Django's for a field that is only looked at."""

    def text(obj: Schedule) -> str:
        value = values_of(obj.job)[name] if obj.job is not None else ""
        prepared = ScheduleForm.base_fields[name].prepare_value(value)
        if isinstance(prepared, bool):
            return _("yes") if prepared else _("no")
        if isinstance(prepared, datetime):
            return localize(local(prepared))
        return "-" if prepared in (None, "") else str(prepared)

    text.__name__ = name
    return admin.display(description=LABELS[name])(text)


def _is_locked(obj: Schedule | None) -> bool:
    return obj is not None and obj.job is not None and bool(obj.job.locked)


def _is_fixed(obj: Schedule | None) -> bool:
    """Whether nobody may change it, whatever their permissions."""
    return obj is not None and (obj.job is None or _is_locked(obj))


def _deleted_by(id: str) -> str:
    entry = (
        LogEntry.objects.filter(
            content_type=get_content_type_for_model(Schedule), object_id=id, action_flag=DELETION
        )
        .select_related("user")
        .first()
    )
    if entry is None:
        return _("meanwhile")
    time = localize(local(entry.action_time))
    return _("by %(user)s, %(time)s") % {"user": entry.user, "time": time}
