"""The lane of one schedule for a day before and after the present, which stands above its form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rq.utils import now

from ...conf import current_zone
from ...core.lanes.closed import unled
from ...core.lanes.marks import Lane
from ...core.lanes.plans import FIELDS, Plan
from ...core.lanes.reading import read_lanes
from ...core.lanes.span import Span
from ...core.store.pauses import read_past_pauses, read_pauses
from ...core.story.reigns import read_reigns
from ...models import Schedule
from ...queues import main_connection
from ..display import page_url
from ..ranges import Asked
from .drawing import Drawing, symbols
from .links import Links
from .scale import Scale
from .words import Words

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Around:
    """The lane, its axis, and what it shows in words."""

    symbols: SafeString
    axis: SafeString
    picture: SafeString
    text: str
    url: str
    """The timeline of that time and this schedule."""


def around(model_admin: Any, schedule: Schedule) -> Around | None:
    """The lane of a schedule; None if it cannot be read."""
    moment, connection = now(), main_connection()
    time = Asked(Span(moment - DAY, moment + DAY, moment), current_zone(), "")
    scale, words, links = Scale(time), Words(time), Links(model_admin)
    try:
        rows = Schedule.objects.filter(pk=schedule.id).texts(*FIELDS)
        plans = [Plan.from_texts(row, moment) for row in rows]
        pauses = [*read_pauses(connection), *read_past_pauses(connection)]
        lanes = read_lanes(plans, connection, time.span, pauses, scale.gap)
        gaps = unled(read_reigns(connection), time.span)
    except RedisError:
        return None  # the rest of the page says why
    if not lanes:
        return None
    (lane,) = lanes
    drawing = Drawing(scale, words, gaps, pauses)
    marks = [words.tell(each, lane.plan, links.mark(each, lane.plan)) for each in lane.marks]
    shown = {
        "from": time.typed(time.span.low),
        "to": time.typed(time.span.high),
        "q": schedule.id,
    }
    return Around(
        symbols(),
        drawing.axis(),
        drawing.lane(lane.plan, marks),
        _in_words(lane, words),
        f"{page_url(model_admin, 'timeline')}?{urlencode(shown)}",
    )


def _in_words(lane: Lane, words: Words) -> str:
    """How many of each kind there are."""
    numbers = Counter[str]()
    for mark in lane.marks:
        numbers[mark.kind] += mark.count
    counted = [f"{number} {words.name(kind)}" for kind, number in numbers.items()]
    return ", ".join(counted) or _("no runs")
