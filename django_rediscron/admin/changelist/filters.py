"""The filters beside the list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...core.store import search
from ...core.store.names_in_use import Census
from ...core.store.search import Condition
from ...query.queryset import ScheduleQuerySet, census, connection
from ...queues import queues_beside
from .columns import STATES

Choices = Iterable[tuple[str, Any]]


class ScheduleFilter(admin.SimpleListFilter):
    """A filter whose values are conditions of a search."""

    def queryset(self, request: HttpRequest, queryset: Any) -> ScheduleQuerySet:
        """The schedules that meet the condition of the chosen value."""
        found: ScheduleQuerySet = queryset
        value = self.value()
        return found if value is None else found.meeting(self.condition(value))

    def condition(self, value: str) -> Condition:
        """What a value means. An unknown one is met by nothing."""
        raise NotImplementedError


class QueueFilter(ScheduleFilter):
    """Queues of the project on the Redis of the schedules, and others that schedules name."""

    title = gettext_lazy("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        names = {*queues_beside(connection()), *_census(request).queues}
        return [(name, name) for name in sorted(names)]

    def condition(self, value: str) -> Condition:
        return search.one_of("queue_name", [value])


class StateFilter(ScheduleFilter):
    """States, and how a schedule differs from the code."""

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
        return search.one_of("state", [value])


class SourceFilter(ScheduleFilter):
    """Declared in code, or made at run time."""

    title = gettext_lazy("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("code", _("code")), ("runtime", _("made at run time"))]

    def condition(self, value: str) -> Condition:
        return search.one_of("source", [value])


class ApplicationFilter(ScheduleFilter):
    """The application that the function belongs to."""

    title = gettext_lazy("function's app")
    parameter_name = "app"

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self._functions: dict[str, list[str]] = {}
        for name in _census(request).functions:
            self._functions.setdefault(application(name), []).append(name)
        super().__init__(request, *args, **kwargs)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        labels = sorted(label for label in self._functions if label)
        found = [(label, apps.get_app_config(label).verbose_name) for label in labels]
        return [*found, (OTHERS, _("no app of this project"))] if "" in self._functions else found

    def condition(self, value: str) -> Condition:
        return search.one_of("func_name", self._functions.get(value.removeprefix(OTHERS), []))


OTHERS = "-"


def application(func_name: str) -> str:
    """The label of the application of this project that a function belongs to; "" for none."""
    config = apps.get_containing_app_config(func_name)
    return config.label if config else ""


def _census(request: HttpRequest) -> Census:
    return Census() if hasattr(request, "rediscron_outage") else census()
