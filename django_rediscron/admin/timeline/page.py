"""The page: a lane for each schedule, the strip of all starts, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from redis import Redis
from rq.utils import now

from ...conf import current_zone
from ...core.lanes.closed import unled
from ...core.lanes.marks import Lane, Mark
from ...core.lanes.plans import FIELDS, Plan
from ...core.lanes.reading import ran_between, read_lanes
from ...core.lanes.starts import AllStarts, starts_of
from ...core.store.pauses import Pause, read_past_pauses, read_pauses
from ...core.story.reigns import read_reigns
from ...queues import main_connection
from ..changelist.page import ScheduleChangeList
from ..display import TEMPLATES, mark, page_context, page_url
from .drawing import Drawing, symbols
from .links import Links
from .ranges import RANGES, Asked, asked
from .scale import Scale
from .words import Words

PER_PAGE = 100

OWN = ("range", "from", "to", "zone", "all", "page")
"""Parameters that are not filters of the list."""


class TimelineChangeList(ScheduleChangeList):
    """The filters of the list, and the schedules that match them; it reads none of them."""

    def get_results(self, request: HttpRequest) -> None:
        """Nothing: the timeline reads what it shows itself."""
        self.result_count = self.full_result_count = 0
        self.result_list = []
        self.show_all = self.can_show_all = self.multi_page = False
        self.show_full_result_count = False
        self.paginator: Any = Paginator([], PER_PAGE)


class Choices(NamedTuple):
    """A filter as a select."""

    name: str
    title: str
    options: Sequence[tuple[str, str, bool]]
    """Value, text, and whether it is chosen."""


class ShownLane(NamedTuple):
    """A schedule with its picture."""

    id: str
    url: str
    picture: SafeString
    is_off: bool


class Row(NamedTuple):
    """A line of the table."""

    moment: Any
    times: str
    id: str
    url: str
    queue_name: str
    mark: SafeString
    kind: str
    facts: str
    state: str
    link: str


@dataclass(frozen=True)
class Everything:
    """What was read for a page."""

    plans: Sequence[Plan]
    starts: AllStarts
    page: Page[Plan]
    lanes: Sequence[Lane]
    shown: int
    """How many lanes all pages have."""
    pauses: Sequence[Pause]
    drawing: Drawing


def timeline_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """What ran and what is to run in the time, and of the schedules, that are asked for."""
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    query, time = request.GET, asked(request.GET, now())
    changes = _change_list(model_admin, request)
    words, scale, links = Words(time), Scale(time), Links(model_admin)
    found = _read(changes, query, scale, words)
    context = {
        **page_context(model_admin, request, _("Timeline")),
        "asked": time,
        "ranges": [
            (str(text), _url(query, range=name, **_NO_TIME), name == time.range)
            for name, text in RANGES.items()
        ],
        "earlier": _url(query, **_moved(time, -1)),
        "later": _url(query, **_moved(time, 1)),
        "from": time.typed(time.span.low),
        "to": time.typed(time.span.high),
        "heading": _heading(time, words),
        "beside_time": _without(query, *OWN[:3], "page"),
        "beside_filters": [
            (name, query[name]) for name in OWN if query.get(name) and name in _KEPT
        ],
        "zones": _zones(found.plans, time),
        "filters": _filters(changes),
        "query": changes.query,
        "is_narrowed": bool({name for name in query if query[name]} - {"range", "page", "all"}),
        "found": found,
        "all_url": _url(query, all="1", page=None) if found.shown < len(found.plans) else None,
        "active_url": _url(query, all=None, page=None) if query.get("all") else None,
        "peak": found.drawing.starts_title(found.starts.peak) if found.starts.peak else "",
        "total": sum(step.count for step in found.starts.steps),
        "symbols": symbols(),
        "strip": found.drawing.strip(found.starts, _step_urls(query, time, found.starts)),
        "axis": found.drawing.axis(),
        "queues": [
            (name, [_shown(lane, found.drawing, links) for lane in lanes])
            for name, lanes in groupby(found.lanes, key=lambda lane: lane.plan.queue_name)
        ],
        "days": _days(found.lanes, words, links),
        "holds": [found.drawing.pause_title(pause) for pause in found.pauses if pause.is_on(now())],
        "pages": list(_links(found.page, query)),
        "list_url": page_url(model_admin, "changelist"),
    }
    return TemplateResponse(request, f"{TEMPLATES}/timeline.html", context)


def _change_list(model_admin: Any, request: HttpRequest) -> TimelineChangeList:
    """The list's filters and search, as the parameters that belong to them say."""
    query = request.GET.copy()
    names = _filter_names(model_admin)
    for name in list(query):
        if name not in names or not query[name]:  # a form sends what is empty, too
            del query[name]
    narrowed: Any = copy(request)
    narrowed.GET = query
    return TimelineChangeList(
        narrowed,
        model_admin.model,
        model_admin.list_display,
        None,
        model_admin.get_list_filter(request),
        None,
        model_admin.get_search_fields(request),
        False,
        PER_PAGE,
        PER_PAGE,
        (),
        model_admin,
        (),
        None,
    )


def _filter_names(model_admin: Any) -> set[str]:
    names = {getattr(each, "parameter_name", None) for each in model_admin.list_filter}
    return {"q", *(name for name in names if name)}


def _read(changes: TimelineChangeList, query: QueryDict, scale: Scale, words: Words) -> Everything:
    connection, span = main_connection(), scale.asked.span
    queryset: Any = changes.queryset
    plans = [Plan.from_texts(row, span.now) for row in queryset.texts(*FIELDS)]
    plans.sort(key=lambda plan: (plan.queue_name, plan.id))
    pauses = [*read_pauses(connection), *read_past_pauses(connection)]
    starts = starts_of(plans, span, pauses)
    shown = plans if query.get("all") else _active(plans, starts, connection, scale)
    page: Page[Plan] = Paginator(shown, PER_PAGE).get_page(query.get("page"))
    lanes = read_lanes(list(page), connection, span, pauses, scale.gap)
    drawing = Drawing(scale, words, unled(read_reigns(connection), span), pauses)
    return Everything(plans, starts, page, lanes, len(shown), pauses, drawing)


def _active(
    plans: Sequence[Plan], starts: AllStarts, connection: Redis, scale: Scale
) -> Sequence[Plan]:
    """Those of which there is something to show."""
    others = [plan.id for plan in plans if plan.id not in starts.active]
    active = starts.active | ran_between(others, connection, scale.asked.span)
    return [plan for plan in plans if plan.id in active]


def _shown(lane: Lane, drawing: Drawing, links: Links) -> ShownLane:
    marks = [(each, links.mark(each, lane.plan)) for each in lane.marks]
    url = links.schedule(lane.plan.id)
    return ShownLane(lane.plan.id, url, drawing.lane(lane.plan, marks), not lane.plan.enabled)


def _days(lanes: Sequence[Lane], words: Words, links: Links) -> list[tuple[str, Sequence[Row]]]:
    """The marks of all lanes in time order, by day."""
    everything = [(each, lane.plan) for lane in lanes for each in lane.marks]
    everything.sort(key=lambda pair: (pair[0].first, pair[1].id))
    rows = [(words.day(each.first), _row(each, plan, words, links)) for each, plan in everything]
    return [(day, [row for _day, row in some]) for day, some in groupby(rows, lambda row: row[0])]


def _row(each: Mark, plan: Plan, words: Words, links: Links) -> Row:
    return Row(
        each.first.isoformat(),
        words.times(each),
        plan.id,
        links.schedule(plan.id),
        plan.queue_name,
        mark(each.kind),
        words.kind(each),
        words.facts(each, plan),
        each.kind,
        links.mark(each, plan),
    )


# Addresses and choices

_KEPT = ("range", "from", "to", "all")
"""What the form of the filters sends along."""

_NO_TIME: dict[str, str | None] = {"from": None, "to": None}


def _url(query: QueryDict, **changes: str | None) -> str:
    """The address of this page with some parameters changed, back on its first page."""
    changed = query.copy()
    for name, value in {"page": None, **changes}.items():
        changed.pop(name, None)
        if value is not None:
            changed[name] = value
    return f"?{changed.urlencode()}"


def _without(query: QueryDict, *names: str) -> list[tuple[str, str]]:
    return [(name, str(query[name])) for name in query if name not in names]


def _moved(time: Asked, steps: int) -> dict[str, str | None]:
    """The parameters of the time before or after."""
    span = time.span
    return {
        "range": None,
        "from": time.typed(span.low + steps * span.length),
        "to": time.typed(span.high + steps * span.length),
    }


def _step_urls(query: QueryDict, time: Asked, starts: AllStarts) -> list[str]:
    """The address of each step; only those that start something are asked for."""
    times = [(time.typed(step.since), time.typed(step.until)) for step in starts.steps]
    rest = query.copy()
    for name in ("range", "from", "to", "page", "all"):
        rest.pop(name, None)
    further = f"&{rest.urlencode()}" if rest else ""
    return [f"?from={begin}&to={end}{further}" for begin, end in times]


def _heading(time: Asked, words: Words) -> SafeString:
    """The span in words, with its zone."""
    span = time.span
    return format_html(
        "{} {} – {} {} <small>{}</small>",
        *(words.day(span.low), words.minute(span.low)),
        *(words.day(span.high), words.minute(span.high), str(time.zone)),
    )


def _zones(plans: Iterable[Plan], time: Asked) -> list[tuple[str, str, bool]]:
    """The reader's own zone, UTC, those of schedules, and the one that was asked for."""
    own = str(current_zone())
    recurrences = {plan.recurrence.zone for plan in plans if plan.recurrence is not None}
    names = {"UTC", *(str(zone) for zone in recurrences if zone is not None), time.zone_name}
    others = sorted(names - {"", own})
    return [
        ("", own, not time.zone_name),
        *((name, name, name == time.zone_name) for name in others),
    ]


def _filters(changes: TimelineChangeList) -> list[Choices]:
    """The filters of the list."""
    found = []
    for spec in changes.filter_specs:
        filter: Any = spec
        if hasattr(filter, "lookup_choices") and filter.lookup_choices:
            chosen = filter.value()
            options = [("", _("All"), chosen is None)]
            options += [
                (str(value), str(text), str(value) == chosen)
                for value, text in filter.lookup_choices
            ]
            found.append(Choices(filter.parameter_name, str(filter.title), options))
    return found


def _links(page: Page[Plan], query: QueryDict) -> Iterable[tuple[str, str | None]]:
    """The pages: a number and its address, which the current one and gaps lack."""
    if not page.has_other_pages():
        return
    for number in page.paginator.get_elided_page_range(page.number):
        is_link = number not in (page.number, page.paginator.ELLIPSIS)
        yield str(number), _url(query, page=str(number)) if is_link else None
