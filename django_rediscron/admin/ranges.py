"""Which time the timeline shows, and in which zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import current_zone
from ..core.exceptions import InvalidScheduleError
from ..core.lanes.span import LONGEST, Span
from ..core.quoting import quoted
from ..core.timing.cron_times import FIRST_YEAR, LAST_YEAR
from ..core.timing.zones import find_zone

RANGES = {
    "last-night": gettext_lazy("Last night"),
    "tonight": gettext_lazy("Tonight"),
    "24h": gettext_lazy("Next 24 hours"),
    "week": gettext_lazy("Week"),
}
DEFAULT = "24h"
DUSK, DAWN = timedelta(hours=20), timedelta(hours=8)
"""A night begins in the evening and ends in the morning of the next day."""

DAY = timedelta(days=1)
_TYPED = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Asked:
    """The time that is shown."""

    span: Span
    zone: tzinfo
    range: str
    """One of `RANGES`, or empty for any other."""
    zone_name: str = ""
    """The zone that was asked for; empty for the reader's own."""
    wrong: str = ""
    """Why something else is shown than what was asked for."""

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def typed(self, moment: datetime) -> str:
        """A moment as an input field has it."""
        return self.local(moment).strftime(_TYPED)


def asked(query: QueryDict, moment: datetime) -> Asked:
    """What a query asks for: `range`, or `from` and `to`; and `zone`. If it cannot be shown, the
    default with the reason."""
    zone, zone_name, wrong = current_zone(), query.get("zone", "").strip(), ""
    if zone_name:
        try:
            zone = find_zone(zone_name)
        except InvalidScheduleError as error:
            zone_name, wrong = "", str(error)
    chosen = query.get("range", "")
    if not chosen and (query.get("from") or query.get("to")):
        try:
            span = _typed_span(query.get("from", ""), query.get("to", ""), zone, moment)
            return Asked(span, zone, "", zone_name, wrong)
        except ValueError as error:
            wrong = wrong or str(error)
    if chosen and chosen not in RANGES:
        names = ", ".join(RANGES)
        wrong = wrong or _("The range must be one of %s.") % names
    chosen = chosen if chosen in RANGES else DEFAULT
    return Asked(named_span(chosen, zone, moment), zone, chosen, zone_name, wrong)


def named_span(name: str, zone: tzinfo, moment: datetime) -> Span:
    """One of `RANGES`, as it is at this moment in this zone."""
    here = moment.astimezone(zone).replace(tzinfo=None)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "24h":
        begin = here.replace(minute=0, second=0, microsecond=0)
        low = _utc(begin.replace(fold=moment.astimezone(zone).fold), zone)
        return Span(low, low + DAY, moment)
    if name == "week":
        return Span(_utc(midnight, zone), _utc(midnight + 7 * DAY, zone), moment)
    evening = midnight + DUSK - (DAY if here < midnight + DAWN else timedelta())
    if name == "last-night":
        evening -= DAY
    return Span(_utc(evening, zone), _utc(evening + DAY - DUSK + DAWN, zone), moment)


def _typed_span(begin: str, end: str, zone: tzinfo, moment: datetime) -> Span:
    """Raises ValueError with what is wrong."""
    low = parsed_time(begin, zone, _("from"))
    high = parsed_time(end, zone, _("to")) if end else low + DAY
    if high <= low:
        raise ValueError(_("The end must be after the beginning."))
    if high - low > LONGEST:
        raise ValueError(_("At most %d days can be shown at a time.") % LONGEST.days)
    return Span(low, high, moment)


def parsed_time(text: str, zone: tzinfo, name: str) -> datetime:
    """What was typed in the input of this name. Raises ValueError with what is wrong."""
    try:
        typed = datetime.fromisoformat(text.strip())
        if not FIRST_YEAR < typed.year < LAST_YEAR:
            raise ValueError
        return _utc(typed, zone)
    except (ValueError, OverflowError):
        raise ValueError(
            _("“%(name)s” must be a time such as 2026-06-03T05:40, got %(text)s.")
            % {"name": name, "text": quoted(text)}
        ) from None


def _utc(moment: datetime, zone: tzinfo) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(timezone.utc)
