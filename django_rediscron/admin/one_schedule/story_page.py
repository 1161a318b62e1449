"""A page of the story of a schedule, narrowed down to what somebody looks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..display import OUTCOMES
from .story import StoryEntry

PER_PAGE = 50

NEWEST = 8
"""Entries that are shown where nothing narrows the story down."""

KINDS = {
    "run": gettext_lazy("Runs"),
    "backfill": gettext_lazy("Backfilled runs"),
    "skip": gettext_lazy("Skipped runs"),
    "error": gettext_lazy("Errors"),
    "change": gettext_lazy("Changes"),
    "reign": gettext_lazy("Leaders"),
}

PLACE = "#rediscron-story"


class Choice(NamedTuple):
    """A link that narrows the story down."""

    text: str
    number: int
    url: str
    chosen: bool


class Day(NamedTuple):
    """The entries of one day."""

    date: date | None
    entries: list[StoryEntry]


@dataclass(frozen=True)
class StoryPage:
    """The part of a story that a request asks for."""

    page: Page[StoryEntry]
    kinds: Sequence[Choice]
    outcomes: Sequence[Choice]
    day: date | None
    """The only day that is shown."""
    query: QueryDict
    is_empty: bool
    """Whether nothing is known of the schedule at all."""

    @property
    def days(self) -> list[Day]:
        """The entries of the page by day."""
        entries = self.page.object_list[: NEWEST if self.is_short else PER_PAGE]
        return [Day(day, [*found]) for day, found in groupby(entries, lambda each: each.day)]

    @property
    def is_short(self) -> bool:
        """Whether only the newest are shown, because the request asks for none in particular."""
        asked = ("kind", "outcome", "day", "page")
        return self.page.paginator.count > NEWEST and self.query.keys().isdisjoint(asked)

    @property
    def all_url(self) -> str:
        """The address of all entries, page by page."""
        return _url(self.query, page="1")

    @property
    def links(self) -> Iterable[tuple[str, str | None]]:
        """The pages: a number and its address, which the current one and gaps lack."""
        paginator, current = self.page.paginator, self.page.number
        for number in paginator.get_elided_page_range(current):
            is_link = number not in (current, paginator.ELLIPSIS)
            yield str(number), _url(self.query, page=str(number)) if is_link else None

    @property
    def beside_day(self) -> list[tuple[str, str]]:
        """What the form that asks for a day sends along."""
        return _without(self.query, "day", "page")

    @property
    def beside_time(self) -> list[tuple[str, str]]:
        """What the form that asks why sends along."""
        return _without(self.query, "why")

    @property
    def any_day(self) -> str:
        """The address without the day."""
        return _url(self.query, day=None)


def narrow(entries: Sequence[StoryEntry], query: QueryDict) -> StoryPage:
    """The entries that `kind`, `outcome`, `day` and `page` of a query ask for."""
    kind, outcome = query.get("kind", ""), query.get("outcome", "")
    day = _day(query.get("day", ""))
    of_day = [entry for entry in entries if day is None or entry.day == day]
    kinds = Counter(entry.kind for entry in of_day)
    outcomes = Counter(entry.outcome for entry in of_day if entry.outcome)
    found = [
        entry
        for entry in of_day
        if (not kind or entry.kind == kind) and (not outcome or entry.outcome == outcome)
    ]
    return StoryPage(
        page=Paginator(found, PER_PAGE).get_page(query.get("page")),
        kinds=_choices(query, "kind", KINDS, kinds),
        outcomes=_choices(query, "outcome", OUTCOMES, outcomes),
        day=day,
        query=query,
        is_empty=not entries,
    )


def _choices(
    query: QueryDict, name: str, texts: dict[str, Any], counts: Counter[str]
) -> list[Choice]:
    """All, and each that there is or that is chosen."""
    chosen = query.get(name, "")
    other = {"kind": "outcome", "outcome": "kind"}[name]
    found = [Choice(_("All"), counts.total(), _url(query, **{name: None}), not chosen)]
    for value, text in texts.items():
        if value and (counts[value] or value == chosen):
            url = _url(query, **{name: value, other: None})
            found.append(Choice(str(text), counts[value], url, value == chosen))
    return found


def _url(query: QueryDict, **changes: str | None) -> str:
    """The address of this page with some parameters changed, back on its first page."""
    changed = query.copy()
    for name, value in {"page": None, **changes}.items():
        changed.pop(name, None)
        if value is not None:
            changed[name] = value
    return f"?{changed.urlencode()}{PLACE}"


def _without(query: QueryDict, *names: str) -> list[tuple[str, str]]:
    return [(name, str(query[name])) for name in query if name not in names]


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None
