"""Reverting a schedule to an earlier revision, which is written as a new change."""

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
from ...core.exceptions import InvalidScheduleError, NoSuchJobError, ScheduleChangedError
from ...core.job import RedisCronJob
from ...core.quoting import quoted_id
from ...core.schedule.rq_options import CALLBACKS
from ...core.story.changes import definition_of, read_log
from ...models import Schedule
from ...queues import main_connection
from ..display import TEMPLATES, page_context, page_url
from ..form_fields.job import fixed_fields
from ..log import change_message, changed_fields, definition, display_value, label
from .story import FieldChange


@dataclass(frozen=True)
class Reversal:
    """The definition of an earlier revision in place of the stored one."""

    job: RedisCronJob
    revision: int
    before: dict[str, str]
    after: dict[str, str]

    @classmethod
    def of(cls, job: RedisCronJob, revision: int) -> Reversal:
        """Raises `InvalidScheduleError` if the revision is not on record, or if the form would
        refuse to save it."""
        found = definition_of(read_log(job.id, main_connection()), revision)
        if not found:
            name = quoted_id(job.id)
            raise InvalidScheduleError(f"revision {revision} of schedule {name} is not on record")
        earlier = RedisCronJob.restore({"id": job.id, **found})
        reversal = cls(job, revision, definition(job), definition(earlier))
        reversal.check_allowed()
        return reversal

    @property
    def changed(self) -> list[str]:
        """The fields that differ."""
        return changed_fields(self.before, self.after)

    def check_allowed(self) -> None:
        """What cannot be entered in the form does not come back from the log either."""
        changed, after = self.changed, self.after
        fixed = fixed_fields(self.job)
        if "func_name" in changed or not set(fixed).isdisjoint(changed):
            function = self.job.func_name if fixed else after["func_name"]
            if not is_allowed(function):
                raise FunctionNotAllowedError(function)
        for name in CALLBACKS:
            function = after.get(name, "").partition(" ")[0]
            if function and name in changed and not is_allowed(function):
                raise FunctionNotAllowedError(function)
        if "webhooks" in changed and after.get("webhooks"):
            raise InvalidScheduleError("webhooks can only be set in code, and this would set some")

    def write(self, version: str) -> None:
        """Raises what `RedisCronJob.revert` raises, `ScheduleChangedError` for another version."""
        self.job.revert(self.revision, if_version=version)


def revert_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show what would change, and then change it, unless somebody else did meanwhile."""
    id = unquote(object_id)
    schedule = model_admin.get_object(request, id)
    if not model_admin.has_change_permission(request, schedule):
        raise PermissionDenied
    if schedule is None:
        raise Http404(_("There is no schedule %(id)r.") % {"id": id})
    try:
        reversal = Reversal.of(schedule.job, _revision(request))
        if request.method != "POST":
            return _confirmation(model_admin, request, schedule, reversal)
        reversal.write(request.POST.get("version", ""))
    except ScheduleChangedError:
        text = _("The schedule was changed meanwhile. Nothing was reverted; check again.")
        model_admin.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(f"{request.path}?revision={_revision(request)}")
    except (InvalidScheduleError, NoSuchJobError) as error:
        model_admin.message_user(request, str(error), messages.ERROR)
    else:
        message = change_message(reversal.before, reversal.after)
        model_admin.log_change(request, schedule, message)
        names = get_text_list([label(name) for name in reversal.changed], _("and"))
        text = _("Reverted to revision %(revision)d: %(fields)s.")
        facts = {"revision": reversal.revision, "fields": names}
        model_admin.message_user(request, text % facts, messages.SUCCESS)
    return HttpResponseRedirect(page_url(model_admin, "change", id))


def _revision(request: HttpRequest) -> int:
    sent = request.POST if request.method == "POST" else request.GET
    try:
        return int(sent.get("revision", ""))
    except ValueError:
        raise Http404(_("There is no such revision.")) from None


def _confirmation(
    model_admin: Any, request: HttpRequest, schedule: Schedule, reversal: Reversal
) -> HttpResponse:
    both = (reversal.before, reversal.after)
    fields = [
        FieldChange(label(name), *(display_value(name, each.get(name, "")) for each in both))
        for name in reversal.changed
    ]
    context = {
        **page_context(model_admin, request, _("Revert?"), schedule),
        "subtitle": str(schedule),
        "schedule": schedule,
        "revision": reversal.revision,
        "version": reversal.job.version,
        "fields": fields,
        "back": page_url(model_admin, "change", schedule.id),
    }
    return TemplateResponse(request, f"{TEMPLATES}/revert_confirmation.html", context)
