"""The page of a schedule that was deleted: what is on record of it, and a way to restore it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from redis import Redis

from ...core.exceptions import DamagedScheduleError, NoSuchJobError
from ...core.job import RedisCronJob
from ...core.story.changes import ChangeLog, Definition, read_log
from ...models import Schedule
from ...queues import main_connection
from .. import log
from ..changelist.columns import timing
from ..display import TEMPLATES, page_context, page_url
from ..one_schedule.details import Details, read_details
from ..one_schedule.revert import may_revert


def deleted_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """What is on record of it; one that exists has a page of its own."""
    id = unquote(object_id)
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    if model_admin.get_object(request, id) is not None:
        return HttpResponseRedirect(page_url(model_admin, "change", id))
    details = _read(id, main_connection(), request)
    context = {
        **page_context(model_admin, request, _("Deleted schedule")),
        "subtitle": id,
        "facts": list(_facts(id, details.log)),
        "details": details,
    }
    context["trail"].append((page_url(model_admin, "deleted_list"), _("Deleted schedules")))
    if may_revert(model_admin, request, None):
        context["revert_url"] = page_url(model_admin, "revert", id)
        context["restored"] = _revision_before(details.log)
    return TemplateResponse(request, f"{TEMPLATES}/deleted.html", context)


def on_record(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse | None:
    """The way to that page, if something is on record of a schedule and this user may see it."""
    if not model_admin.has_view_or_change_permission(request):
        return None
    id = unquote(object_id)
    if not read_log(id, main_connection()).changes:
        return None
    return HttpResponseRedirect(page_url(model_admin, "deleted", id))


def _read(id: str, connection: Redis, request: HttpRequest) -> Details:
    try:
        return read_details(Schedule(id=id), connection, request.GET)
    except NoSuchJobError:
        text = _("There is no schedule %(id)r, and nothing is on record of it.")
        raise Http404(text % {"id": id}) from None


def _facts(id: str, changes: ChangeLog) -> Iterable[tuple[str, Any]]:
    newest = next(iter(changes.changes), None)
    if newest is not None and not changes.known:
        yield _("Deleted"), log.who_and_when(newest)
        if newest.reason:
            yield _("Reason"), newest.reason
    definition = _last_definition(changes)
    if definition.get("func_name"):
        yield log.label("func_name").capitalize(), definition["func_name"]
    try:
        job = RedisCronJob.restore({"id": id, **definition})
    except (DamagedScheduleError, ValueError, TypeError, OverflowError, RecursionError):
        return
    yield _("Runs"), timing(Schedule.of(job))


def _last_definition(changes: ChangeLog) -> Definition:
    """What was deleted; empty if that is not on record."""
    if changes.known:
        return changes.known  # nobody has noticed yet that it is gone
    return changes.changes[0].undone({}) if changes.changes else {}


def _revision_before(changes: ChangeLog) -> int | None:
    """The latest revision that can be restored."""
    if not changes.changes:
        return None
    newest = changes.changes[0].revision
    return newest if changes.known else newest - 1
