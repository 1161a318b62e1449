"""The pages on which a schedule is added, changed and looked at."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime
from functools import cache, partial, wraps
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten, unquote
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from ...conf import local
from ...core.exceptions import NoSuchJobError, ScheduleChangedError, ScheduleLockedError
from ...core.story.changes import DELETED
from ...models import Schedule
from .. import log
from ..display import TEMPLATES, page_context, page_url
from ..form_fields.job import (
    ALARMS,
    FAILURES,
    LATE_RUNS,
    RQ_JOB,
    RUN_FIELDS,
    WHAT_RUNS,
    fixed_fields,
)
from ..form_fields.timing import LIMITS, WHEN
from ..form_fields.widgets import Group
from .form import ScheduleForm
from .values import values_of

GROUPS = (
    Group(None, ("id", "name", "enabled"), is_open=True),
    WHAT_RUNS,
    WHEN,
    LIMITS,
    LATE_RUNS,
    FAILURES,
    ALARMS,
    RQ_JOB,
)

Page = Callable[[], HttpResponse]
View = TypeVar("View", bound=Callable[..., HttpResponse])

# Fields


def fieldsets(schedule: Schedule | None, *, may_change: bool) -> list[tuple[Any, dict[str, Any]]]:
    """The form's fields in groups; those that cannot be changed are shown as text."""
    if schedule is None:
        return [_fieldset(*group) for group in GROUPS]
    if schedule.job is None:
        return [(None, {"fields": ("id", "func_name", "queue_name")})]
    values = values_of(schedule.job)
    texts = frozenset(fixed_fields(schedule.job)) if may_change else values.keys()
    groups = []
    for heading, lines, always_open in GROUPS:
        hidden = ("parameters",) if "args" in texts else ()
        fields = tuple(_line(line, texts) for line in lines if line not in hidden)
        is_open = always_open or any(_is_set(name, values.get(name)) for name in flatten(lines))
        groups.append(_fieldset(heading, fields, is_open))
    if may_change:
        groups[0][1]["fields"] = (*groups[0][1]["fields"], "base")
    return groups


def readonly_fields(schedule: Schedule | None) -> tuple[Any, ...]:
    """The preview; of a stored schedule its id, and what cannot be changed."""
    if schedule is None:
        return ("preview",)
    fixed = fixed_fields(schedule.job) if schedule.job else ()
    return ("preview", "id", *map(_as_text, fixed))


def _line(line: str | tuple[str, ...], texts: Container[str]) -> Any:
    if isinstance(line, tuple):
        return tuple(_line(name, texts) for name in line)
    return _as_text(line) if line in texts else line


def _is_set(name: str, value: Any) -> bool:
    """Whether a value is not the default; the default of `result_ttl` depends on the queue."""
    field = ScheduleForm.base_fields.get(name)
    default: tuple[Any, ...] = (None, "", False, [], {}, field and field.initial)
    return name != "result_ttl" and value not in default


def _fieldset(heading: Any, fields: tuple[Any, ...], is_open: bool) -> tuple[Any, dict[str, Any]]:
    return heading, {"fields": fields, "classes": () if is_open else ("collapse",)}


@cache
def _as_text(name: str) -> Callable[[Schedule], str]:
    """What Django shows of a field that cannot be changed."""

    def text(obj: Schedule) -> str:
        value = values_of(obj.job)[name] if obj.job is not None else ""
        prepared = ScheduleForm.base_fields[name].prepare_value(value)
        if isinstance(prepared, bool):
            return _("yes") if prepared else _("no")
        if isinstance(prepared, datetime):
            return localize(local(prepared))
        return "-" if prepared in (None, "") else str(prepared)

    text.__name__ = name
    return admin.display(description=log.label(name))(text)


# Showing


def open_groups(shown: Any) -> None:
    """Open each group with a wrong field, which Django does not see in a shared line, or with a
    value that was copied."""
    form = shown.form
    told = form.errors.keys() if form.is_bound else form.initial.keys() & form.fields.keys()
    wanted = {name for name in told if form.is_bound or _is_set(name, form.initial[name])}
    shown.fieldsets = [
        (heading, {**options, "classes": ()})
        if wanted & {name for name in flatten(options["fields"]) if isinstance(name, str)}
        else (heading, options)
        for heading, options in shown.fieldsets
    ]


def focus_error(form: Any) -> bool:
    """Give the focus to the first wrong field; whether there is one that can have it."""
    for name in form.fields:
        if name in form.errors and not form.fields[name].widget.is_hidden:
            form.fields[name].widget.attrs["autofocus"] = True
            return True
    return False


def show_parameters(model_admin: Any, shown: Any) -> None:
    """Show the call with an input for each parameter, if it can be changed."""
    lines = [options["fields"] for _heading, options in shown.fieldsets]
    field = shown.form.fields.get("parameters")
    if field is None or "parameters" not in flatten(flatten(lines)):
        return
    call, as_inputs = shown.form.shown_call()
    stored = shown.form.stored
    is_told = stored is not None and call.reason in (stored.last_error or "")
    if is_told or not shown.form.errors.keys().isdisjoint(RUN_FIELDS):
        call.reason = ""  # it stands above the form, or at the field
    context = {
        "call": call,
        "is_known": call.function is not None,
        "as_inputs": as_inputs,
        "url": page_url(model_admin, "call"),
    }
    widget: Any = field.widget
    widget.render_inputs = partial(render_to_string, f"{TEMPLATES}/parameters.html", context)


# Saving


def save_page(
    model_admin: Any, request: HttpRequest, object_id: str | None, page: Page
) -> HttpResponse:
    """Django's page; it is repeated if somebody else changed the schedule meanwhile."""
    id = unquote(object_id or "")
    if request.method == "POST" and object_id is not None and _is_gone(model_admin, request, id):
        return _deleted_meanwhile(model_admin, request, id)
    try:
        try:
            return page()
        except (ScheduleChangedError, ScheduleLockedError):
            # Changed between reading and writing: read it again, and show the differences.
            return page()
    except NoSuchJobError:
        return _deleted_meanwhile(model_admin, request, id)


def _is_gone(model_admin: Any, request: HttpRequest, id: str) -> bool:
    return model_admin.has_view_or_change_permission(request) and (
        model_admin.get_object(request, id) is None
    )


def _deleted_meanwhile(model_admin: Any, request: HttpRequest, id: str) -> HttpResponse:
    text = _("Nothing was saved: schedule “%(id)s” was deleted %(who)s.")
    model_admin.message_user(request, text % {"id": id, "who": _deleted_by(id)}, messages.ERROR)
    if model_admin.has_view_permission(request):
        return HttpResponseRedirect(page_url(model_admin, "changelist"))
    return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:index"))


def _deleted_by(id: str) -> str:
    newest = next(iter(log.logged_changes(id)), None)
    if newest is None or newest.what != DELETED:
        return _("meanwhile")
    return _("by %s") % log.who_and_when(newest)


def explaining_size_limit(view: View) -> View:
    """A view (a method of a ModelAdmin) that explains why a form is too large, instead of a bare
    "400".

    Django's middleware looks for the token in the form, and so would fail before the view. Here the
    form is read first, and then the view is protected as usual.
    """

    @csrf_exempt
    @wraps(view)
    def explained(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            _ = request.POST
        except RequestDataTooBig:
            return _too_large(self, request)
        return csrf_protect(partial(view, self))(request, *args, **kwargs)

    return cast(View, explained)


def _too_large(model_admin: Any, request: HttpRequest) -> HttpResponse:
    context = {
        **page_context(model_admin, request, _("The form is too large")),
        "limit": filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0),
    }
    return TemplateResponse(request, f"{TEMPLATES}/too_large.html", context, status=413)
