"""What one can choose on the page: the time, the zone and the filters of the list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from ...conf import current_zone
from ...core.lanes.plans import Plan
from ..changelist.filters import LIST_ONLY
from ..changelist.page import ScheduleChangeList
from ..ranges import RANGES, Asked

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


def choices(
    query: QueryDict, time: Asked, changes: TimelineChangeList, plans: Sequence[Plan]
) -> dict[str, Any]:
    """All of it, for the template."""
    return {
        "ranges": [
            (str(text), url_with(query, range=name, **_NO_TIME), name == time.range)
            for name, text in RANGES.items()
        ],
        "earlier": url_with(query, **_moved(time, -1)),
        "later": url_with(query, **_moved(time, 1)),
        "from": time.typed(time.span.low),
        "to": time.typed(time.span.high),
        "beside_time": _without(query, *OWN[:3], "page"),
        "beside_filters": [(name, query[name]) for name in _KEPT if query.get(name)],
        "zones": _zones(plans, time),
        "filters": _filters(changes),
        "query": changes.query,
        "is_narrowed": bool({name for name in query if query[name]} - {"range", "page", "all"}),
    }


def change_list(model_admin: Any, request: HttpRequest) -> TimelineChangeList:
    """The list's filters and search, as the parameters that belong to them say."""
    query = request.GET.copy()
    names = _filter_names(_list_filter(model_admin, request))
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
        _list_filter(model_admin, request),
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


def _list_filter(model_admin: Any, request: HttpRequest) -> list[Any]:
    return [each for each in model_admin.get_list_filter(request) if each not in LIST_ONLY]


def _filter_names(list_filter: Sequence[Any]) -> set[str]:
    names = {getattr(each, "parameter_name", None) for each in list_filter}
    return {"q", *(name for name in names if name)}


_KEPT = ("range", "from", "to", "all")
"""What the form of the filters sends along."""

_NO_TIME: dict[str, str | None] = {"from": None, "to": None}


def url_with(query: QueryDict, **changes: str | None) -> str:
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


def page_links(page: Page[Plan], query: QueryDict) -> Iterable[tuple[str, str | None]]:
    """The pages: a number and its address, which the current one and gaps lack."""
    if not page.has_other_pages():
        return
    for number in page.paginator.get_elided_page_range(page.number):
        is_link = number not in (page.number, page.paginator.ELLIPSIS)
        yield str(number), url_with(query, page=str(number)) if is_link else None
