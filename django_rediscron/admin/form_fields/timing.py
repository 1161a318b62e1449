"""When a schedule runs: the part of its form that a preview needs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...conf import current_zone, in_zone
from ...core.timing.zones import is_portable
from .widgets import Group, LabelledForm, SecondsField, SuggestingInput

WHEN = Group(gettext_lazy("When"), ("interval", ("cron", "timezone"), "preview"), is_open=True)
LIMITS = Group(
    gettext_lazy("Start, end and limits"),
    (("start_at", "end_at"), ("max_runs", "jitter")),
)

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)

WHICH = {"": "", "0": gettext_lazy("the first"), "1": gettext_lazy("the second")}
"""Which moment is meant if the clocks show a time twice: `fold` of its datetime."""


class MomentWidget(AdminSplitDateTime):
    """Django's two inputs, with their zone, and a choice if the clocks show the time twice.

    The zone travels with the form, because the current zone may change before the form is sent.
    """

    template_name = "admin/django_rediscron/schedule/moment.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        more = (forms.HiddenInput(), forms.Select(choices=list(WHICH.items())))
        forms.MultiWidget.__init__(self, [*self.widgets, *more], attrs)

    def decompress(self, value: datetime | None) -> Any:
        """Date, time, zone and which of the two."""
        zone = current_zone()
        if value is None:
            return [None, None, zone_name(zone), ""]
        return [*_wall(value, zone), zone_name(zone), _which(value, zone)]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        date, time, zone, which = context["widget"]["subwidgets"]
        which["attrs"]["aria-label"] = _("Which of the two")
        context["zone"] = zone["value"]
        context["which"] = self._offers(date["value"], time["value"], zone["value"])
        return context

    def _offers(self, date: Any, time: Any, zone: Any) -> bool:
        """Whether there is something to choose."""
        try:
            day: Any = forms.DateField().to_python(date)
            clock: Any = forms.TimeField().to_python(time)
            return len(_offsets(datetime.combine(day, clock), zone_of(zone))) == 2
        except (ValidationError, TypeError, OverflowError):
            return False


class MomentField(forms.SplitDateTimeField):
    """An aware datetime. An untouched one stays as it is, whatever zone it is sent in."""

    widget = MomentWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)
        self.fields: tuple[forms.Field, ...] = (
            *self.fields,
            forms.CharField(required=False),
            forms.ChoiceField(required=False, choices=list(WHICH.items())),
        )

    def compress(self, data_list: Any) -> datetime | None:
        """The moment. Raises `ValidationError` if there is none, or if two are possible."""
        date, time, zone_text, which = [*data_list, *[None] * 4][:4]
        if date is None and time is None:
            return None
        for part, code in ((date, "invalid_date"), (time, "invalid_time")):
            if part is None:
                raise ValidationError(self.error_messages[code], code=code)
        zone = zone_of(zone_text)
        wall = datetime.combine(date, time)
        offsets = _offsets(wall, zone)
        facts = {"time": f"{wall:%Y-%m-%d %H:%M:%S}", "zone": zone_name(zone)}
        if not offsets:
            text = _("%(time)s does not exist in %(zone)s: the clocks skip it.")
            raise ValidationError(text, code="skipped", params=facts)
        if len(offsets) == 2 and not which:
            text = _(
                "%(time)s comes twice in %(zone)s: choose the first (%(first)s) or the second "
                "(%(second)s)."
            )
            named = dict(zip(("first", "second"), map(_offset_name, offsets), strict=True))
            raise ValidationError(text, code="twice", params={**facts, **named})
        return wall.replace(tzinfo=zone, fold=int(which or 0) if len(offsets) == 2 else 0)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it differs from what was loaded, in the zone that was sent."""
        sent = [*(data or ()), *[None] * 4][:4]
        if initial is None:
            return any(part not in self.empty_values for part in sent[:2])
        try:
            zone = zone_of(sent[2])
        except ValidationError:
            return True
        if super().has_changed(_wall(initial, zone), sent):
            return True
        return sent[3] not in (None, "", _which(initial, zone))


def zone_name(zone: tzinfo) -> str:
    """The IANA name of a zone, or its offset if it has none."""
    return getattr(zone, "key", None) or _offset_name(datetime.now(zone).utcoffset())


def zone_of(name: str | None) -> tzinfo:
    """The zone with that name or offset; without one, the zone of the request."""
    if not name:
        return current_zone()
    offset = _OFFSET.search(name)
    try:
        if offset is None:
            return ZoneInfo(name)
        minutes = 60 * int(offset[2]) + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    except (ValueError, OSError, KeyError):
        raise ValidationError(_("There is no time zone “%s”.") % name[:80], code="zone") from None


def _wall(moment: datetime, zone: tzinfo) -> list[Any]:
    here = in_zone(moment, zone)
    return [here.date(), here.time().replace(fold=0)]


def _which(moment: datetime, zone: tzinfo) -> str:
    here = in_zone(moment, zone)
    return str(here.fold) if len(_offsets(here.replace(tzinfo=None), zone)) == 2 else ""


def _offsets(wall: datetime, zone: tzinfo) -> list[timedelta]:
    """The offsets at which the clocks of a zone show this time: one, none, or two in order."""
    offsets = [wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)]
    first, second = (offset or timedelta() for offset in offsets)
    if first == second:
        return [first]
    return [first, second] if first > second else []


def _offset_name(offset: timedelta | None) -> str:
    return timezone(offset or timedelta()).tzname(None)


@cache
def zone_names() -> list[str]:
    """The zones that can be chosen, sorted."""
    return sorted(filter(is_portable, available_timezones()))


class TimingForm(LabelledForm):
    """When a schedule runs."""

    interval = SecondsField(
        label=gettext_lazy("interval"),
        help_text=gettext_lazy(
            "Seconds, or with a unit: 90, 10m, 2h, 1d. Either this or a cron expression."
        ),
    )
    cron = forms.CharField(
        label=gettext_lazy("cron expression"),
        required=False,
        widget=forms.TextInput(
            attrs={"size": 30, "spellcheck": "false", "autocomplete": "off", "dir": "ltr"}
        ),
        help_text=gettext_lazy(
            "minute hour day month weekday, such as 30 6 * * mon-fri; a sixth field is seconds."
        ),
    )
    timezone = forms.CharField(
        label=gettext_lazy("time zone"),
        required=False,
        widget=SuggestingInput(zone_names, size=30),
        help_text=gettext_lazy(
            "In which the expression is read, such as Europe/Paris. Empty: the server's."
        ),
    )
    start_at = MomentField(
        label=gettext_lazy("starts"),
        help_text=gettext_lazy("No run before this; an interval counts from it."),
    )
    end_at = MomentField(
        label=gettext_lazy("ends"),
        help_text=gettext_lazy("No run after this."),
    )
    max_runs = forms.IntegerField(
        label=gettext_lazy("maximum runs"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("The schedule is finished after this many. Empty: no limit."),
    )
    jitter = SecondsField(
        label=gettext_lazy("jitter"),
        fraction=True,
        help_text=gettext_lazy(
            "Delays each run by up to this long, so that many schedules do not start at once; the "
            "delay is stable for each run."
        ),
    )

    def keep_untouched(self, cleaned: dict[str, Any]) -> None:
        """Untouched fields are not checked: they keep the loaded values."""
        for name in self.fields.keys() & self.initial.keys() - set(self.changed_data):
            self.errors.pop(name, None)
            cleaned[name] = self.initial[name]

    def clean_jitter(self) -> float:
        """Empty: no jitter."""
        return self.cleaned_data["jitter"] or 0
