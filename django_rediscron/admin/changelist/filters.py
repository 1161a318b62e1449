"""The filters beside the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rq.utils import now

from ...conf import current_zone
from ...core.store import search
from ...core.store.pauses import PAUSED_STATE, Pause, in_state
from ...core.store.search import Condition, NamesInUse
from ...core.story.runs import STATUS_LETTERS
from ...core.timing.cron_times import utc_text
from ...query import ScheduleQuerySet
from ...queues import main_connection, queues_beside
from ..display import LATE, OUTCOMES, TEMPLATES
from ..ranges import DAY, named_span, parsed_time
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


class NextRunFilter(ScheduleFilter):
    """When they run next: late, in the next hour, tonight, or between two times."""

    title = gettext_lazy("next run")
    parameter_name = "next"
    template = f"{TEMPLATES}/next_run_filter.html"
    bounds = ("next_from", "next_until")

    def __init__(self, request: HttpRequest, params: Any, *args: Any, **more: Any) -> None:
        self.typed = {name: params.pop(name)[-1] for name in self.bounds if name in params}
        own = (self.parameter_name, *self.bounds, PAGE_VAR, ERROR_FLAG)
        self.others = [
            (n, each) for n in request.GET if n not in own for each in request.GET.getlist(n)
        ]
        self.wrong = ""
        super().__init__(request, params, *args, **more)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            ("late", _("late")),
            ("hour", _("in the next hour")),
            ("tonight", _("tonight")),
            ("24h", _("in the next 24 hours")),
        ]

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter_name, *self.bounds]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Django's own; each replaces the times that were typed."""
        value = self.value()
        named = [(None, _("All")), *self.lookup_choices]
        for name, text in named:
            new = {} if name is None else {self.parameter_name: name}
            yield {
                "selected": value == name and not any(self.typed.values()),
                "query_string": changelist.get_query_string(new, self.expected_parameters()),
                "display": text,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> ScheduleQuerySet:
        found = super().queryset(request, queryset)
        for (_name, label, text), op in zip(self.inputs(), ("gte", "lte"), strict=True):
            if text:
                try:
                    moment = parsed_time(text, current_zone(), label)
                except ValueError as error:
                    self.wrong = str(error)
                else:
                    found = found.matching(_next_run(op, moment))
        return found

    def inputs(self) -> list[tuple[str, str, str]]:
        """Name, label and text of the inputs."""
        labels = dict(zip(self.bounds, (_("from"), _("until")), strict=True))
        return [(name, label, self.typed.get(name, "")) for name, label in labels.items()]

    def condition(self, value: str) -> Condition:
        moment = now()
        if value == "late":
            due = search.due_until(moment.timestamp() - LATE)
            unpaused = search.negate(in_state(PAUSED_STATE, self.pauses))
            return search.every(in_state("enabled", ()), unpaused, due)
        if value == "hour":
            begin, end = moment, moment + timedelta(hours=1)
        elif value in ("tonight", "24h"):
            span = named_span(value, current_zone(), moment)
            begin, end = (span.low, span.high) if value == "tonight" else (moment, moment + DAY)
        else:
            return search.either()
        return search.every(_next_run("gte", begin), _next_run("lt", end))


def _next_run(op: str, moment: datetime) -> Condition:
    return search.compare("next_enqueue_time", op, utc_text(moment))


class OutcomeFilter(ScheduleFilter):
    """How the last run went."""

    title = gettext_lazy("last outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [*((each, OUTCOMES[each]) for each in STATUS_LETTERS), (NEVER, _("never ran"))]

    def condition(self, value: str) -> Condition:
        words = [value, STATUS_LETTERS.get(value, value)]
        if value == "queued":
            words += ["deferred", "scheduled"]
        return search.one_of("last_outcome", [""] if value == NEVER else words)


NEVER = "never"


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

LIST_ONLY = (NextRunFilter, ZoneChoice)
"""Of no use where all runs of a time are shown."""

NO_APPLICATION = "-"


def application(func_name: str) -> str:
    """The label of this project's application that a function belongs to; "" for none."""
    config = apps.get_containing_app_config(func_name)
    return config.label if config else ""
