"""The page: a lane for each schedule, the strip of all starts, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from redis import Redis
from rq.utils import now

from ...core.lanes.closed import unled
from ...core.lanes.marks import Lane
from ...core.lanes.plans import FIELDS, Plan
from ...core.lanes.reading import ran_between, read_lanes
from ...core.lanes.starts import AllStarts, starts_of
from ...core.store.pauses import Pause, read_past_pauses, read_pauses
from ...core.story.reigns import read_reigns
from ...queues import main_connection
from ..display import TEMPLATES, mark, page_context, page_url
from ..ranges import Asked, asked
from .choices import PER_PAGE, TimelineChangeList, change_list, choices, page_links, url_with
from .drawing import Drawing, symbols
from .links import Links
from .scale import Scale
from .words import Told, Words


class ShownLane(NamedTuple):
    """A schedule with its picture."""

    plan: Plan
    url: str
    picture: SafeString


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
    changes = change_list(model_admin, request)
    words, scale, links = Words(time), Scale(time), Links(model_admin)
    found = _read(changes, query, scale, words)
    told = [(lane.plan, _told(lane, words, links)) for lane in found.lanes]
    context = {
        **page_context(model_admin, request, _("Timeline")),
        **choices(query, time, changes, found.plans),
        "asked": time,
        "heading": _heading(time, words),
        "found": found,
        "all_url": url_with(query, all="1", page=None) if found.shown < len(found.plans) else None,
        "active_url": url_with(query, all=None, page=None) if query.get("all") else None,
        "peak": found.drawing.starts_title(found.starts.peak) if found.starts.peak else "",
        "total": sum(step.count for step in found.starts.steps),
        "symbols": symbols(),
        "strip": found.drawing.strip(found.starts, _step_urls(query, time, found.starts)),
        "axis": found.drawing.axis(),
        "queues": [
            (name, [_shown(plan, marks, found.drawing, links) for plan, marks in some])
            for name, some in groupby(told, key=lambda pair: pair[0].queue_name)
        ],
        "days": _days(told, links),
        "holds": [found.drawing.pause_title(pause) for pause in found.pauses if pause.is_on(now())],
        "pages": list(page_links(found.page, query)),
        "list_url": page_url(model_admin, "changelist"),
    }
    return TemplateResponse(request, f"{TEMPLATES}/timeline.html", context)


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


def _told(lane: Lane, words: Words, links: Links) -> list[Told]:
    return [words.tell(each, lane.plan, links.mark(each, lane.plan)) for each in lane.marks]


def _shown(plan: Plan, marks: Sequence[Told], drawing: Drawing, links: Links) -> ShownLane:
    return ShownLane(plan, links.schedule(plan.id), drawing.lane(plan, marks))


def _days(
    told: Sequence[tuple[Plan, Sequence[Told]]], links: Links
) -> list[tuple[str, SafeString]]:
    """The marks of all lanes in time order, by day."""
    everything = [(each, plan) for plan, some in told for each in some]
    everything.sort(key=lambda pair: (pair[0].mark.first, pair[1].id))
    return [
        (day, format_html_join("\n", "{}", ((_row(each, plan, links),) for each, plan in some)))
        for day, some in groupby(everything, lambda pair: pair[0].day)
    ]


def _row(told: Told, plan: Plan, links: Links) -> SafeString:
    """A line of the table; a page has thousands, which a template would take longer for."""
    facts = SafeString()
    if told.facts:
        facts = format_html(' <span class="rediscron-facts"><bdi>{}</bdi></span>', told.facts)
    return format_html(
        '<tr><td><time datetime="{}">{}</time></td>'
        '<th scope="row"><a href="{}"><bdi dir="ltr">{}</bdi></a></th>'
        '<td>{} <a href="{}">{}</a>{}</td><td>{}</td></tr>',
        *(told.mark.first.isoformat(), told.times, links.schedule(plan.id), plan.id),
        *(mark(told.mark.kind), told.url, told.kind, facts, plan.queue_name),
    )


# Addresses


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
