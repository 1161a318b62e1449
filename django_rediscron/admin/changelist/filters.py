"""The filters beside the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...conf import current_zone
from ...core.store import search
from ...core.store.pauses import Pause, in_state
from ...core.store.search import Condition, NamesInUse
from ...query import ScheduleQuerySet
from ...queues import main_connection, queues_beside
from ..display import TEMPLATES
from .columns import STATES

Choices = Iterable[tuple[str, Any]]


class ScheduleFilter(admin.SimpleListFilter):
    """A filter whose values are conditions of a search."""

    def __init__(self, *args: Any, names_in_use: NamesInUse, pauses: Sequence[Pause]) -> None:
        self.names_in_use = names_in_use
        self.pauses = pauses
        super().__init__(*args)

    def queryset(self, request: HttpRequest, queryset: Any) -> ScheduleQuerySet:
        """The schedules that match the chosen value."""
        found: ScheduleQuerySet = queryset
        value = self.value()
        return found if value is None else found.matching(self.condition(value))

    def condition(self, value: str) -> Condition:
        """The condition of a value. Nothing matches an unknown one."""
        raise NotImplementedError


class QueueFilter(ScheduleFilter):
    """The project's queues on the Redis of the schedules, and others that schedules name."""

    title = gettext_lazy("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        names = {*queues_beside(main_connection()), *self.names_in_use.queues}
        return [(name, name) for name in sorted(names)]

    def condition(self, value: str) -> Condition:
        return search.one_of("queue_name", [value])


class StateFilter(ScheduleFilter):
    """The states, and how a schedule differs from the code."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        differences = [("orphan", _("orphan")), ("overridden", _("overridden"))]
        return [*STATES.items(), *differences]

    def condition(self, value: str) -> Condition:
        if value == "orphan":
            return search.negate(search.one_of("orphaned_at", [""]))
        if value == "overridden":
            return search.one_of("overridden", ["1"])
        return in_state(value, self.pauses)


class SourceFilter(ScheduleFilter):
    """Declared in code, or created at run time."""

    title = gettext_lazy("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("code", _("code")), ("runtime", _("created at run time"))]

    def condition(self, value: str) -> Condition:
        return search.one_of("source", [value])


class TagFilter(ScheduleFilter):
    """The tags that schedules have."""

    title = gettext_lazy("tag")
    parameter_name = "tag"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(tag, tag) for tag in sorted(self.names_in_use.tags)]

    def condition(self, value: str) -> Condition:
        return search.has_word("tags", value)


class ApplicationFilter(ScheduleFilter):
    """The application that the function belongs to."""

    title = gettext_lazy("function's app")
    parameter_name = "app"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        used = {application(name) for name in self.names_in_use.functions}
        labels = sorted(used - {""})
        found = [(label, apps.get_app_config(label).verbose_name) for label in labels]
        return [*found, (NO_APPLICATION, _("no app of this project"))] if "" in used else found

    def condition(self, value: str) -> Condition:
        label = value.removeprefix(NO_APPLICATION)
        functions = self.names_in_use.functions
        return search.one_of("func_name", [n for n in functions if application(n) == label])


class ZoneChoice(ScheduleFilter):
    """No filter, but like one: the zone in which times are shown."""

    title = gettext_lazy("times in")
    parameter_name = "times"
    template = f"{TEMPLATES}/zone_choice.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(OWN_ZONE, _("zone of the schedule"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Django's own, of which the first is the reader's zone."""
        first, *others = super().choices(changelist)
        yield {**first, "display": str(current_zone())}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> ScheduleQuerySet:
        found: ScheduleQuerySet = queryset
        return found


OWN_ZONE = "schedule"

NO_APPLICATION = "-"


def application(func_name: str) -> str:
    """The label of this project's application that a function belongs to; "" for none."""
    config = apps.get_containing_app_config(func_name)
    return config.label if config else ""
