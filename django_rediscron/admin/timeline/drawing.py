"""Lanes, their axis and the strip of starts as SVG; all positions are percentages of the width.

The pictures are for the eye: they are hidden from screen readers, and their links cannot be reached
by keyboard. The table below them holds the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...core.lanes.closed import Unled
from ...core.lanes.marks import Mark
from ...core.lanes.plans import Plan
from ...core.lanes.starts import AllStarts, Starts
from ...core.store.pauses import Pause
from ..display import MARKS
from .scale import Scale
from .words import Told, Words

LANE, STRIP, AXIS = 30, 64, 34
"""Heights in pixels."""

_MIDDLE = LANE // 2
_NARROWEST = 1.8
"""Percent of the width that a band has at least."""
_FREE = 8.0
"""Percent of the width beside a mark in which its time can be written."""

_NEAR = 6.0
"""Percent of the width in which the label of the present stands alone."""

_FEW = 6
"""Marks of a lane up to which their times are written."""

_FUTURE = ("planned", "due", "off", "paused")
_DRAWN_LAST = ("failed", "error", "stopped")

_SIGNS = ("finished", "failed", "started", "queued", "stopped", "canceled", "unknown")


def symbols() -> SafeString:
    """What all pictures of a page use: marks of outcomes, and hatching."""
    signs = format_html_join(
        "",
        '<g id="rediscron-{}"><rect class="rediscron-sign {}" x="-8" y="-8" width="16" height="16"'
        ' rx="{}"/><text class="rediscron-glyph" y="4">{}</text></g>',
        (
            (name, name, 8 if name == "unknown" else 3, MARKS.get(name, "?"))
            for name in (*_SIGNS, "skip", "error")
        ),
    )
    rings = format_html_join(
        "",
        '<g id="rediscron-{}"><circle class="rediscron-ring {}" r="6"/></g>',
        ((name, name) for name in _FUTURE),
    )
    return format_html(
        '<svg class="rediscron-symbols" width="0" height="0" aria-hidden="true"><defs>{}{}'
        '<pattern id="rediscron-hatch" width="6" height="6" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><rect class="rediscron-hatching" width="2" height="6"/>'
        "</pattern></defs></svg>",
        signs,
        rings,
    )


class Drawing:
    """The pictures of a page."""

    def __init__(
        self, scale: Scale, words: Words, unled: Sequence[Unled], pauses: Sequence[Pause]
    ) -> None:
        self.scale, self.words = scale, words
        self.pauses = pauses
        self._behind = self._gaps(unled) + self._lines(LANE)

    def lane(self, plan: Plan, marks: Sequence[Told]) -> SafeString:
        """The lane of a schedule."""
        return format_html(
            '<svg class="rediscron-track" height="{}" aria-hidden="true">{}{}{}</svg>',
            LANE,
            self._held(plan.queue_name),
            self._behind,
            mark_safe("".join(self._marks(marks))),
        )

    def axis(self) -> SafeString:
        """Hours and days above the lanes."""
        days = [(self.scale.asked.span.low, 0.0)]
        days += [(line.moment, line.x) for line in self.scale.lines if line.kind == "midnight"]
        if len(days) > 1 and days[1][1] < 2 * _FREE:
            del days[0]
        every = max(1, len(days) // 8)
        dates = [(x, self.words.day(moment)) for moment, x in days[::every]]
        hours = [line for line in self.scale.lines if line.kind in ("hour", "midnight")]
        times = [
            (" rediscron-minor" if number % 2 else "", line.x, line.label)
            for number, line in enumerate(hours)
            if not self._is_near_now(line.x)
        ]
        return format_html(
            '<svg class="rediscron-track rediscron-axis" height="{}" aria-hidden="true">{}{}{}'
            "</svg>",
            AXIS,
            format_html_join("", '<text class="rediscron-day" x="{}%" y="12">{}</text>', dates),
            format_html_join("", '<text class="rediscron-hour{}" x="{}%" y="28">{}</text>', times),
            format_html_join(
                "",
                '<text class="rediscron-{}" x="{}%" y="{}">{}</text>',
                (
                    (line.kind, line.x, 28 if line.kind == "now" else 12, line.label)
                    for line in self.scale.lines
                    if line.kind in ("now", "change")
                ),
            ),
        )

    def _is_near_now(self, x: float) -> bool:
        span = self.scale.asked.span
        return span.low <= span.now < span.high and abs(self.scale.x(span.now) - x) < _NEAR

    def strip(self, starts: AllStarts, urls: Iterable[str]) -> SafeString:
        """A bar for each step, each with the address that it links to."""
        peak, drawn = starts.peak, []
        for step, url in zip(starts.steps, urls, strict=True):
            if step.count and peak is not None:
                drawn.append(self._bar(step, peak, url))
        return format_html(
            '<svg class="rediscron-track rediscron-strip" height="{}" aria-hidden="true">{}{}{}'
            "</svg>",
            STRIP,
            self._lines(STRIP),
            mark_safe("".join(drawn)),
            self._peak(peak),
        )

    def starts_title(self, step: Starts) -> str:
        """What starts in a step."""
        count = ngettext("%d start", "%d starts", step.count) % step.count
        times = f"{self.words.minute(step.since)} – {self.words.minute(step.until)}"
        names = ", ".join(step.ids) + (", …" if step.has_others else "")
        return f"{self.words.day(step.since)} {times}: {count}: {names}"

    # Behind the marks

    def _lines(self, height: int) -> SafeString:
        return format_html_join(
            "",
            '<line class="rediscron-line-{}" x1="{}%" x2="{}%" y1="0" y2="{}"/>',
            ((line.kind, line.x, line.x, height) for line in self.scale.lines),
        )

    def _gaps(self, unled: Sequence[Unled]) -> SafeString:
        return mark_safe(
            "".join(
                self._hatched("unled", gap.since, gap.until, _("no scheduler was running"))
                for gap in unled
            )
        )

    def _held(self, queue_name: str) -> SafeString:
        high = self.scale.asked.span.high
        return mark_safe(
            "".join(
                self._hatched("held", pause.at, pause.end or high, self.pause_title(pause))
                for pause in self.pauses
                if pause.concerns(queue_name)
            )
        )

    def pause_title(self, pause: Pause) -> str:
        """Who paused what, and why."""
        what = _("queue %s paused") % pause.queue if pause.queue else _("all queues paused")
        text = _("%(what)s by %(who)s") % {"what": what, "who": pause.by or "?"}
        return f"{text}: {pause.reason}" if pause.reason else text

    def _hatched(self, kind: str, since: datetime, until: datetime, title: str) -> SafeString:
        x = self.scale.x(since)
        width = round(self.scale.x(until) - x, 3)
        if width <= 0:
            return SafeString()
        return format_html(
            '<rect class="rediscron-hatched rediscron-{}" fill="url(#rediscron-hatch)" x="{}%"'
            ' width="{}%" height="{}"><title>{}</title></rect>',
            *(kind, x, width, LANE, title),
        )

    # Marks

    def _marks(self, marks: Sequence[Told]) -> Iterable[str]:
        has_times = len(marks) <= _FEW
        places = [self.scale.x(told.mark.first) for told in marks]
        ends = [self.scale.x(told.mark.end) for told in marks]
        order = sorted(range(len(marks)), key=lambda at: marks[at].mark.kind in _DRAWN_LAST)
        for at in order:
            told, mark = marks[at], marks[at].mark
            shape = self._shape(told, places[at], ends[at])
            if has_times and mark.count == 1:
                before = max(ends[:at], default=0)
                after = min(places[at + 1 :], default=100)
                shape += self._time(mark, places[at], ends[at], before, after)
            yield format_html(
                '<a href="{}" tabindex="-1" class="rediscron-m {}"><title>{}</title>{}</a>',
                *(told.url, mark.kind, told.title, shape),
            )

    def _shape(self, told: Told, x: float, end: float) -> SafeString:
        mark = told.mark
        if mark.count > 1 and mark.kind != "due":
            return self._band(told, x, max(end, self.scale.x(mark.last)))
        bar = SafeString()
        if end - x > 0.2 and mark.kind not in _FUTURE:
            bar = format_html(
                '<rect class="rediscron-bar" x="{}%" y="{}" width="{}%" height="8"/>',
                *(x, _MIDDLE - 4, round(end - x, 3)),
            )
        sign = format_html('<use href="#rediscron-{}" x="{}%" y="{}"/>', mark.kind, x, _MIDDLE)
        return bar + sign

    def _time(self, mark: Mark, x: float, end: float, before: float, after: float) -> SafeString:
        """The time beside a mark, if there is room."""
        if after - end >= _FREE:
            place, side = end, "after"
        elif x - before >= 2 * _FREE:  # the one before may use the rest
            place, side = x, "before"
        else:
            return SafeString()
        return format_html(
            '<text class="rediscron-time rediscron-{}" x="{}%" dx="{}" y="{}">{}</text>',
            *(side, place, 11 if side == "after" else -11, _MIDDLE + 4),
            self.words.minute(mark.first),
        )

    def _band(self, told: Told, x: float, end: float) -> SafeString:
        mark = told.mark
        width = max(end - x, _NARROWEST)
        x = min(x, 100 - width)
        text = ""
        if width >= 3 * _FREE:
            text = f"{told.kind}, {told.times}"
            text = text if len(text) * 0.8 < width else str(mark.count)
        elif len(str(mark.count)) * 1.1 + 0.6 <= width:
            text = str(mark.count)
        return format_html(
            '<rect class="rediscron-band" x="{}%" y="{}" width="{}%" height="18" rx="4"/>'
            '<text class="rediscron-number" x="{}%" y="{}">{}</text>',
            *(round(x, 3), _MIDDLE - 9, round(width, 3)),
            *(round(x + width / 2, 3), _MIDDLE + 4, text),
        )

    # Starts

    def _bar(self, step: Starts, peak: Starts, url: str) -> SafeString:
        x = self.scale.x(step.since)
        height = max(2.0, round(step.count / peak.count * (STRIP - 18), 1))
        kind = "past" if step.until <= self.scale.asked.span.now else "coming"
        return format_html(
            '<a href="{}" tabindex="-1"><title>{}</title><rect class="rediscron-start {}{}"'
            ' x="{}%" y="{}" width="{}%" height="{}"/></a>',
            *(url, self.starts_title(step), kind, " peak" if step is peak else "", x),
            *(STRIP - height, round(self.scale.x(step.until) - x, 3), height),
        )

    def _peak(self, peak: Starts | None) -> SafeString:
        if peak is None:
            return SafeString()
        x = self.scale.x(peak.since)
        text = _("%(count)d at %(time)s")
        return format_html(
            '<text class="rediscron-peak" x="{}%" y="12" text-anchor="{}">{}</text>',
            x,
            "end" if x > 85 else "start",
            text % {"count": peak.count, "time": self.words.minute(peak.since)},
        )
