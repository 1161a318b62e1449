"""The admin of schedules: Django's hooks, each of which calls the module that does the work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Schedule
from ..query import ScheduleQuerySet
from ..queues import main_connection
from ..unreachable import UnreachableError, reaching
from . import log
from .changeform import page as form_page
from .changeform.call_page import call_page
from .changeform.copying import PARAMETER, copied_values
from .changeform.form import ScheduleForm
from .changeform.happened import happened_context, happened_page
from .changeform.preview import preview_field, preview_page
from .changelist import columns, filters
from .changelist import page as list_page
from .changelist.actions import (
    delete_selected,
    disable_selected,
    disable_selected_until,
    enable_selected,
    reset_selected,
    run_selected,
)
from .changelist.pauses import resume_page
from .deleted.all import deleted_list_page
from .deleted.one import deleted_page, on_record
from .display import TEMPLATES
from .one_schedule.as_json import json_page
from .one_schedule.disable import disable_page
from .one_schedule.enable import enable_page
from .one_schedule.reset import reset_page
from .one_schedule.revert import revert_page
from .one_schedule.run_now import run_page
from .outages import showing_outages
from .timeline.page import timeline_page

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin


class ScheduleAdmin(Base):
    """List, form, details and history of schedules; no page fails during an outage of Redis."""

    # On a narrow page only the first columns are visible.
    list_display = (
        columns.named,
        columns.current_state,
        columns.next_run,
        columns.buttons,
        columns.last_run,
        columns.timing,
        "queue_name",
        columns.zone,
    )
    list_filter = (
        filters.StateFilter,
        filters.NextRunFilter,
        filters.OutcomeFilter,
        filters.QueueFilter,
        filters.SourceFilter,
        filters.ApplicationFilter,
        filters.TagFilter,
        filters.ZoneChoice,
    )
    actions = (
        enable_selected,
        disable_selected,
        disable_selected_until,
        delete_selected,
        run_selected,
        reset_selected,
    )
    search_fields = ("id", "func_name", "tags")
    ordering = ("id",)
    # Counting all schedules in addition to those found would search Redis twice.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = f"{TEMPLATES}/change_list.html"
    form = ScheduleForm
    change_form_template = f"{TEMPLATES}/change_form.html"

    class Media:
        css = {"all": ("django_rediscron/schedules.css",)}  # noqa: RUF012
        js = ("django_rediscron/schedules.js",)

    def get_urls(self) -> list[URLPattern]:
        """Django's own, and before them those of this package.

        What a user changes on any of these pages is logged as the user's change.
        """
        wrap = self.admin_site.admin_view
        name = "django_rediscron_schedule_{}".format
        patterns = [
            path("refresh/", wrap(self.refresh_view), name=name("refresh")),
            path("timeline/", wrap(self.timeline_view), name=name("timeline")),
            path("resume/", wrap(self.resume_view), name=name("resume")),
            path("deleted/", wrap(self.deleted_list_view), name=name("deleted_list")),
            path("preview/", wrap(self.preview_view), name=name("preview")),
            path("call/", wrap(self.call_view), name=name("call")),
            path("<path:object_id>/deleted/", wrap(self.deleted_view), name=name("deleted")),
            path("<path:object_id>/happened/", wrap(self.happened_view), name=name("happened")),
            path("<path:object_id>/json/", wrap(self.json_view), name=name("json")),
            path("<path:object_id>/disable/", wrap(self.disable_view), name=name("disable")),
            path("<path:object_id>/enable/", wrap(self.enable_view), name=name("enable")),
            path("<path:object_id>/run/", wrap(self.run_view), name=name("run")),
            path("<path:object_id>/reset/", wrap(self.reset_view), name=name("reset")),
            path("<path:object_id>/revert/", wrap(self.revert_view), name=name("revert")),
            *super().get_urls(),
        ]
        for pattern in patterns:
            pattern.callback = log.acting_as_user(pattern.callback)
        return patterns

    # Permissions

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Nobody changes one that is locked by the code or cannot be read."""
        is_fixed = obj is not None and (obj.job is None or bool(obj.job.locked))
        return super().has_change_permission(request, obj) and not is_fixed

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Nobody deletes one that is locked by the code."""
        is_locked = obj is not None and obj.job is not None and bool(obj.job.locked)
        return super().has_delete_permission(request, obj) and not is_locked

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this user may run a schedule now."""
        user: Any = request.user
        return bool(user.has_perm("django_rediscron.run_schedule"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django's own; schedules that are locked by the code are protected."""
        locked = [obj for obj in objs if obj.job is not None and obj.job.locked]
        if not locked:
            return super().get_deleted_objects(objs, request)
        text = _("Schedule %(id)s: locked by the code, %(place)s")
        protected = [text % {"id": obj.id, "place": obj.job.place} for obj in locked]
        return [], {}, set(), protected

    # The list

    def get_queryset(self, request: HttpRequest) -> ScheduleQuerySet:
        """All schedules; a search is not repeated within one request."""
        return cast(ScheduleQuerySet, super().get_queryset(request)).cached()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        """A list that is empty during an outage."""
        return list_page.ScheduleChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's own with a banner, which explains an outage."""
        try:
            with reaching(main_connection()):
                response = super().changelist_view(request, extra_context)
        except UnreachableError as error:
            if request.method != "POST":  # the list handles an outage itself
                raise
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return list_page.add_banner(self, request, response)

    def refresh_view(self, request: HttpRequest) -> HttpResponse:
        """What changed in the rows of the list."""
        return list_page.refresh(self, request)

    @showing_outages
    def timeline_view(self, request: HttpRequest) -> HttpResponse:
        """What ran and what is to run in a span of time."""
        return timeline_page(self, request)

    @showing_outages
    def resume_view(self, request: HttpRequest) -> HttpResponse:
        """Resume what is paused."""
        return resume_page(self, request)

    @showing_outages
    def deleted_list_view(self, request: HttpRequest) -> HttpResponse:
        """Schedules that were deleted."""
        return deleted_list_page(self, request)

    # The form

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """What the form shows as text."""
        return form_page.readonly_fields(obj)

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        """The form's fields in groups."""
        may_change = obj is not None and self.has_change_permission(request, obj)
        return form_page.fieldsets(obj, may_change=may_change)

    @admin.display(description=gettext_lazy("next runs"))
    def preview(self, obj: Schedule) -> SafeString:
        """The next runs, which a script updates as one types."""
        return preview_field(self, obj)

    @showing_outages
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Django's own; somebody else may change the schedule meanwhile."""
        page = partial(super().changeform_view, request, object_id, form_url, extra_context)
        return form_page.save_page(self, request, object_id, page)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Django's own, or the values of the schedule that is to be copied."""
        if id := request.GET.get(PARAMETER):
            return copied_values(self, request, id)
        return dict(super().get_changeform_initial_data(request))

    def save_model(self, request: Any, obj: Schedule, form: Any, change: bool) -> None:
        """Write it to Redis, unless its version has changed since it was loaded."""
        form.write()

    def construct_change_message(
        self, request: Any, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Old and new values."""
        if add or form.stored is None:
            return super().construct_change_message(request, form, formsets, add)
        return log.change_message(log.definition(form.stored), log.definition(form.job))

    def render_change_form(
        self,
        request: Any,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Schedule | None = None,
    ) -> HttpResponse:
        """Django's own, with the state of the schedule and what it did."""
        form_page.open_groups(context["adminform"])
        form_page.show_parameters(self, context["adminform"])
        context["focuses_field"] = form_page.focus_error(context["adminform"].form)
        if obj is not None:
            context.update(happened_context(self, request, obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The next runs of what is in the form, as a piece of HTML."""
        return preview_page(self, request)

    def call_view(self, request: HttpRequest) -> HttpResponse:
        """The call in the form, with an input for each parameter of the function."""
        return call_page(self, request)

    add_view = form_page.explaining_size_limit(admin.ModelAdmin.add_view)
    change_view = form_page.explaining_size_limit(admin.ModelAdmin.change_view)

    # One schedule

    delete_view = showing_outages(admin.ModelAdmin.delete_view)
    history_view = showing_outages(admin.ModelAdmin.history_view)

    @showing_outages
    def deleted_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What is on record of one that was deleted."""
        return deleted_page(self, request, object_id)

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Django's own, or to what is on record of a schedule that was deleted."""
        django: Any = super()
        return on_record(self, request, object_id) or (
            django._get_obj_does_not_exist_redirect(request, opts, object_id)
        )

    @showing_outages
    def happened_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Its state and what happened, by which its page is refreshed."""
        return happened_page(self, request, object_id)

    @showing_outages
    def json_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """It as JSON."""
        return json_page(self, request, object_id)

    @showing_outages
    def disable_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Disable it, with a reason and an end."""
        return disable_page(self, request, object_id)

    @showing_outages
    def enable_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Enable it, or take that back."""
        return enable_page(self, request, object_id)

    @showing_outages
    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Run it now, after a confirmation."""
        return run_page(self, request, object_id)

    @showing_outages
    def reset_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Reset it to the values of the code."""
        return reset_page(self, request, object_id)

    @showing_outages
    def revert_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Revert it to an earlier revision, after a confirmation."""
        return revert_page(self, request, object_id)
