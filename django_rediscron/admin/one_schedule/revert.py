"""Reverting a schedule to an earlier revision, which is written as a new change.

One that was deleted or cannot be read is restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from ...allowlist import FunctionNotAllowedError, is_allowed
from ...core.exceptions import (
    DamagedScheduleError,
    InvalidScheduleError,
    NoSuchJobError,
    ScheduleChangedError,
)
from ...core.job import RedisCronJob
from ...core.quoting import quoted_id
from ...core.schedule.codec import version_of
from ...core.schedule.origin import DEFAULTS
from ...core.schedule.rq_options import CALLBACKS
from ...core.store.reading import read_schedules
from ...core.story.changes import definition_of, read_log
from ...core.story.reverting import revert
from ...models import Schedule
from ...queues import main_connection
from ..display import TEMPLATES, page_context, page_url
from ..form_fields.job import fixed_fields
from ..log import change_message, changed_fields, definition, display_value, label
from .story import FieldChange


@dataclass(frozen=True)
class Reversal:
    """The definition of an earlier revision in place of the stored one."""

    id: str
    job: RedisCronJob | None
    """As it is stored; None if there is none that can be read."""
    version: str
    """What is stored; empty for nothing."""
    revision: int
    before: dict[str, str]
    after: dict[str, str]

    @classmethod
    def of(cls, id: str, job: RedisCronJob | None, revision: int) -> Reversal:
        """Raises `InvalidScheduleError` if the revision is not on record, or if the form would
        refuse to save it."""
        found = definition_of(read_log(id, main_connection()), revision)
        if not found:
            raise InvalidScheduleError(
                f"revision {revision} of schedule {quoted_id(id)} is not on record"
            )
        before = definition(job) if job else DEFAULTS
        earlier = RedisCronJob.restore({"id": id, **found})
        version = job.version if job else _stored_version(id)
        reversal = cls(id, job, version, revision, before, definition(earlier))
        reversal.check_allowed()
        return reversal

    @property
    def changed(self) -> list[str]:
        """The fields that differ."""
        return changed_fields(self.before, self.after)

    def check_allowed(self) -> None:
        """What cannot be entered in the form does not come back from the log either."""
        changed, after = self.changed, self.after
        fixed = fixed_fields(self.job) if self.job else ()
        if "func_name" in changed or not set(fixed).isdisjoint(changed):
            function = self.job.func_name if self.job and fixed else after["func_name"]
            if not is_allowed(function):
                raise FunctionNotAllowedError(function)
        for name in CALLBACKS:
            function = after.get(name, "").partition(" ")[0]
            if function and name in changed and not is_allowed(function):
                raise FunctionNotAllowedError(function)
        if "webhooks" in changed and after.get("webhooks"):
            raise InvalidScheduleError("webhooks can only be set in code, and this would set some")

    def write(self, version: str) -> None:
        """Raises what `revert` raises, `ScheduleChangedError` for another version."""
        if version != self.version:  # the number of the revision may mean another one by now
            raise ScheduleChangedError(f"schedule {quoted_id(self.id)} was changed meanwhile")
        revert(self.id, self.revision, main_connection(), if_version=version)


def may_revert(model_admin: Any, request: HttpRequest, schedule: Schedule | None) -> bool:
    """Whoever may change a schedule may revert it.

    To restore one that was deleted is to add what one may see; one that cannot be read is changed,
    too."""
    if schedule is not None and schedule.job is not None:
        return bool(model_admin.has_change_permission(request, schedule))
    is_gone, admin = schedule is None, model_admin
    may = admin.has_view_or_change_permission if is_gone else admin.has_change_permission
    return bool(may(request) and admin.has_add_permission(request))


def revert_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show what would change, and then change it, unless somebody else did meanwhile."""
    id = unquote(object_id)
    schedule = model_admin.get_object(request, id)
    if not may_revert(model_admin, request, schedule):
        raise PermissionDenied
    if schedule is None and not read_log(id, main_connection()).changes:
        raise Http404(_("There is no schedule %(id)r.") % {"id": id})
    revision = _revision(request)
    try:
        reversal = Reversal.of(id, schedule.job if schedule else None, revision)
        if request.method != "POST":
            return _confirmation(model_admin, request, schedule, reversal)
        reversal.write(request.POST.get("version", ""))
    except ScheduleChangedError:
        text = _("The schedule was changed meanwhile. Nothing was reverted; check again.")
        model_admin.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(f"{request.path}?revision={revision}")
    except (InvalidScheduleError, NoSuchJobError, DamagedScheduleError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(_own_page(model_admin, id, schedule))
    _tell(model_admin, request, schedule, reversal)
    return HttpResponseRedirect(page_url(model_admin, "change", id))


def _tell(
    model_admin: Any, request: HttpRequest, schedule: Schedule | None, reversal: Reversal
) -> None:
    """Tell the user, and Django's log, what was done."""
    if reversal.job is None:
        enter = model_admin.log_change if schedule else model_admin.log_addition
        restored = schedule or Schedule(id=reversal.id)
        enter(request, restored, f"Restored to revision {reversal.revision}.")
        text = _("Schedule “%(id)s” was restored to revision %(revision)d.")
        facts = {"id": reversal.id, "revision": reversal.revision}
    else:
        message = change_message(reversal.before, reversal.after)
        model_admin.log_change(request, schedule, message)
        names = get_text_list([label(name) for name in reversal.changed], _("and"))
        text = _("Reverted to revision %(revision)d: %(fields)s.")
        facts = {"revision": reversal.revision, "fields": names}
    model_admin.message_user(request, text % facts, messages.SUCCESS)


def _own_page(model_admin: Any, id: str, schedule: Schedule | None) -> str:
    return page_url(model_admin, "change" if schedule else "deleted", id)


def _stored_version(id: str) -> str:
    """Of a schedule that cannot be read."""
    ((_found, fields),) = read_schedules([id], main_connection())
    return version_of(fields) if fields else ""


def _revision(request: HttpRequest) -> int:
    sent = request.POST if request.method == "POST" else request.GET
    try:
        return int(sent.get("revision", ""))
    except ValueError:
        raise Http404(_("There is no such revision.")) from None


def _confirmation(
    model_admin: Any, request: HttpRequest, schedule: Schedule | None, reversal: Reversal
) -> HttpResponse:
    both = (reversal.before, reversal.after)
    fields = [
        FieldChange(label(name), *(display_value(name, each.get(name, "")) for each in both))
        for name in reversal.changed
    ]
    title = _("Revert?") if reversal.job else _("Restore?")
    context = {
        **page_context(model_admin, request, title, schedule),
        "subtitle": reversal.id,
        "id": reversal.id,
        "is_restored": reversal.job is None,
        "revision": reversal.revision,
        "version": reversal.version,
        "fields": fields,
        "back": _own_page(model_admin, reversal.id, schedule),
    }
    if schedule is None:
        context["trail"].append((context["back"], reversal.id))
    return TemplateResponse(request, f"{TEMPLATES}/revert_confirmation.html", context)
