"""What marks mean, in words, and times in the zone of the page."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.utils import formats
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...core.lanes.marks import STATUSES, Mark
from ...core.lanes.plans import Plan
from ...core.schedule.missed import Skip
from ...core.story.skips import Failure
from ..display import OUTCOMES, span
from ..one_schedule.story import LONGEST_TEXT, REASONS
from ..ranges import Asked

STATES = {
    "planned": gettext_lazy("planned"),
    "due": gettext_lazy("due, not enqueued yet"),
    "off": gettext_lazy("not planned: the schedule is disabled"),
    "paused": gettext_lazy("not planned: paused"),
    "skip": gettext_lazy("skipped"),
    "error": gettext_lazy("could not be enqueued"),
}
"""What is not a run: see `OUTCOMES` for those."""


class Told(NamedTuple):
    """A mark in words."""

    mark: Mark
    url: str
    day: str
    times: str
    kind: str
    facts: str
    title: str
    """All of it, for who points at the mark."""


class Words:
    """Texts about marks, with times in the zone that was asked for; a page has thousands."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._days: dict[date, str] = {}
        self._names: dict[str, str] = {}
        self._lengths: dict[int, str] = {}

    def tell(self, mark: Mark, plan: Plan, url: str) -> Told:
        """All texts of a mark."""
        day, times, kind = self.day(mark.first), self.times(mark), self.kind(mark)
        facts = ", ".join(filter(None, self._facts(mark, plan)))
        when = self.clock(mark.first) if mark.count == 1 else times
        title = ", ".join(filter(None, (f"{plan.id}: {day} {when}", kind, facts)))
        return Told(mark, url, day, times, kind, facts, title)

    def clock(self, moment: datetime) -> str:
        """The time of day; with seconds only if it has some."""
        here = self.asked.local(moment)
        return here.strftime("%H:%M:%S" if here.second else "%H:%M")

    def minute(self, moment: datetime) -> str:
        """The time of day to the minute."""
        return self.asked.local(moment).strftime("%H:%M")

    def day(self, moment: datetime) -> str:
        """The day, as `Sat 28 Nov`."""
        date = self.asked.local(moment).date()
        if date not in self._days:
            self._days[date] = formats.date_format(date, "D j M")
        return self._days[date]

    def times(self, mark: Mark) -> str:
        """When it starts or, for several, the first and the last of them, to the minute."""
        if mark.first == mark.last:
            return self.minute(mark.first)
        if self.asked.local(mark.first).date() == self.asked.local(mark.last).date():
            return f"{self.minute(mark.first)} – {self.minute(mark.last)}"
        return (
            f"{self.day(mark.first)} {self.minute(mark.first)} – "
            f"{self.day(mark.last)} {self.minute(mark.last)}"
        )

    def kind(self, mark: Mark) -> str:
        """`finished`, `planned`, ...; with the number if it is several."""
        if mark.count == 1:
            return self.name(mark.kind)
        runs = ngettext("%d run", "%d runs", mark.count) % mark.count
        return f"{runs}, {self.name(mark.kind)}"

    def name(self, kind: str) -> str:
        """The same for any number."""
        if kind not in self._names:
            self._names[kind] = str((OUTCOMES if kind in STATUSES else STATES).get(kind, kind))
        return self._names[kind]

    def _facts(self, mark: Mark, plan: Plan) -> list[str]:
        """How long it took, why it was skipped, its error."""
        if isinstance(mark.record, Skip):
            return [str(REASONS.get(mark.record.reason, mark.record.reason))]
        if isinstance(mark.record, Failure):
            return [Truncator(mark.record.text).chars(LONGEST_TEXT)]
        if mark.run is not None:
            return self._run_facts(mark)
        if mark.kind in ("planned", "off", "paused") and plan.jitter and mark.count > 1:
            return [_("each delayed by up to %s") % span(plan.jitter)]
        return []

    def _run_facts(self, mark: Mark) -> list[str]:
        run = mark.run
        assert run is not None
        facts = [_("run by hand")] if run.cause == "hand" else []
        if mark.kind in ("started", "queued"):
            text = _("for %s so far") if mark.kind == "started" else _("waiting for %s")
            facts.append(text % self._length(mark.end - mark.first))
        elif mark.end > mark.first:
            facts.append(_("took %s") % self._length(mark.end - mark.first))
        if run.is_too_long:
            facts.append(_("longer than its limit"))
        return [*facts, Truncator(run.error).chars(LONGEST_TEXT)]

    def _length(self, duration: timedelta) -> str:
        seconds = duration.total_seconds()
        if seconds < 10:
            return _("%.1f s") % seconds
        if int(seconds) not in self._lengths:
            self._lengths[int(seconds)] = span(seconds)
        return self._lengths[int(seconds)]
