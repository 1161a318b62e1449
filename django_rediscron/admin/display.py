"""Times as people read them: how far away, and on hover when exactly."""

from __future__ import annotations

from datetime import datetime

from django.utils import formats
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from rq.utils import now

from ..use_tz import aware, local

LONGEST = 1e12
"""Seconds that are told: more are damage."""

NOTHING = "–"

LATE = 5.0
"""Seconds after which a run that is due is late, in the rows and in the banner: a pass takes far
less."""

NOW = 1.0
"""Seconds from the present that still are the present."""


def time_tag(moment: datetime | None) -> SafeString | str:
    """A moment as `in 4 min` or `4 min ago`, with its absolute time on hover; a dash for none."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        aware(moment).isoformat(),
        absolute(moment),
        relative(moment),
    )


def absolute(moment: datetime) -> str:
    """A moment in the current time zone, with that zone."""
    here = local(moment)
    shown = formats.date_format(here, "DATE_FORMAT")
    return f"{shown}, {formats.time_format(here, 'H:i:s')} {here.tzname() or ''}".rstrip()


def relative(moment: datetime) -> str:
    """How far away a moment is: `in 4 min`, `now`, `4 min ago`."""
    seconds = (aware(moment) - now()).total_seconds()
    if abs(seconds) < NOW:
        return pgettext("time", "now")
    if seconds > 0:
        return _("in %(time)s") % {"time": span(seconds)}
    return _("%(time)s ago") % {"time": span(-seconds)}


def span(seconds: float) -> str:
    """A number of seconds in its two greatest units at most: `4 min`, `2 h 30 min`, `3 d`."""
    whole = int(min(seconds, LONGEST))
    units = (
        (whole // 86400, _("%d d")),
        (whole // 3600 % 24, _("%d h")),
        (whole // 60 % 60, _("%d min")),
        (whole % 60, _("%d s")),
    )
    first = next((place for place, (count, _text) in enumerate(units) if count), 3)
    # The second unit says something only where the first one is small.
    wanted = units[first : first + (2 if units[first][0] < 10 and first in (0, 1) else 1)]
    return " ".join(text % count for count, text in wanted if count) or units[3][1] % 0
