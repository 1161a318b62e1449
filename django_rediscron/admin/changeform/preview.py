"""The preview in the form: when the schedule would run, updated as one types."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import get_language_bidi
from django.utils.translation import gettext as _
from redis.exceptions import RedisError
from rq.utils import now

from ...core.exceptions import InvalidScheduleError
from ...core.job import RedisCronJob
from ...core.timing.zones import find_zone
from ...models import Schedule
from ..display import TEMPLATES, page_url
from ..form_fields.timing import TimingForm
from .values import timed_job, values_of

RUNS = 10


@dataclass(frozen=True)
class PreviewRun:
    """One run."""

    time: datetime
    """In the zone of the schedule."""
    text: str
    jump: str = ""
    """How the clocks change between the previous run and this one."""
    note: str = ""
    """What is special about this wall time."""


@dataclass
class Preview:
    """A description in words and the next runs, or errors."""

    description: str = ""
    runs: list[PreviewRun] = field(default_factory=list)
    last: bool = False
    """Whether nothing comes after these runs."""
    disabled: bool = False
    """Whether these are the runs that it would have if it were enabled."""
    change: str = ""
    """The next change of the clocks after these runs, and the run that follows it."""
    errors: list[str] = field(default_factory=list)


def preview_field(model_admin: Any, schedule: Schedule) -> SafeString:
    """The preview that is loaded with the form; a script updates it."""
    job = schedule.job
    context = {
        "preview": preview(job) if job is not None else None,
        "url": page_url(model_admin, "preview"),
        "id": job.id if job is not None else "",
        "names": " ".join(TimingForm.base_fields),
    }
    return render_to_string(f"{TEMPLATES}/preview_field.html", context)


def preview_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """The preview of what is in the form now."""
    may_look = model_admin.has_view_or_change_permission(request)
    if not (may_look or model_admin.has_add_permission(request)):
        raise PermissionDenied
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    stored = None
    id = request.GET.get("stored")
    if id and may_look:
        with suppress(RedisError):  # a preview needs no Redis
            schedule = model_admin.get_object(request, id)
            stored = schedule.job if schedule else None
    form = PreviewForm(request.GET, stored=stored)
    return render(request, f"{TEMPLATES}/preview.html", {"preview": form.preview()})


class PreviewForm(TimingForm):
    """The timing fields of the form; a stored schedule continues from its last run."""

    def __init__(self, *args: Any, stored: RedisCronJob | None = None, **kwargs: Any) -> None:
        self.stored = stored
        if stored is not None:
            kwargs["initial"] = values_of(stored)
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.keep_untouched(cleaned)
        return cleaned

    def preview(self) -> Preview | None:
        """The preview, from the timing alone: no function is imported, and Redis is not read.

        None if neither an interval nor a cron expression has been given.
        """
        if not any(self.data.get(name, "").strip() for name in ("interval", "cron")):
            return None
        if not self.is_valid():
            return Preview(errors=list(self._errors_of_fields()))
        try:
            return preview(self._schedule())
        except InvalidScheduleError as error:
            return Preview(errors=[str(error)])

    def _schedule(self) -> RedisCronJob:
        values = self.cleaned_data
        stored = self.stored
        if stored is not None and all(self.initial[name] == values[name] for name in values):
            return stored
        job = timed_job(values, values, stored.id if stored else "new")
        job.validate()
        return job

    def _errors_of_fields(self) -> Iterable[str]:
        for name, errors in self.errors.items():
            label = "" if name == NON_FIELD_ERRORS else self.fields[name].label
            for error in errors:
                yield f"{label}: {error}" if label else str(error)


def preview(job: RedisCronJob) -> Preview:
    """The next runs of a schedule."""
    zone = find_zone(job.timezone) if job.timezone else None
    enabled = job if job.enabled else _as_if_enabled(job)
    times = list(enabled.upcoming(RUNS))
    last = len(times) < RUNS
    return Preview(
        description=job.describe(),
        runs=list(_runs(times, zone)),
        last=last,
        disabled=not job.enabled,
        change="" if last or job.interval else _next_change(job, times[-1], zone),
    )


def _as_if_enabled(job: RedisCronJob) -> RedisCronJob:
    """The schedule as it would be if somebody enabled it now."""
    wanted = job.snapshot()
    wanted.enabled = True
    latest = job.latest_enqueue_time
    recurrence = job.recurrence(job.next_enqueue_time or latest)
    wanted.next_enqueue_time = recurrence.first(now(), latest, retimed=False)
    return wanted


def _runs(times: Iterable[datetime], zone: tzinfo | None) -> Iterable[PreviewRun]:
    before = now().astimezone(zone)
    times = [time.astimezone(zone) for time in times]
    exact = any(time.second or time.microsecond for time in times)
    for time in times:
        yield PreviewRun(time, wall_text(time, exact=exact), _jump(before, time), _note(time, zone))
        before = time


def wall_text(time: datetime, *, exact: bool = False) -> str:
    """Weekday, date and time with its offset from UTC."""
    text = date_format(time, "Y-m-d H:i:s" if exact else "Y-m-d H:i")
    return _after_weekday(time, f"{text} {_offset_text(time.utcoffset() or timedelta())}")


def _after_weekday(time: datetime, text: str) -> str:
    """The day's name and the text, whose order that name leaves alone if it is Arabic, say."""
    isolated = f"\u2066{text}\u2069" if get_language_bidi() else text
    return f"{date_format(time, 'D')} {isolated}"


def _offset_text(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "−" if minutes < 0 else "+"
    return f"UTC{sign}{hours}:{rest:02}" if rest else f"UTC{sign}{hours}" if hours else "UTC"


def _jump(before: datetime, time: datetime) -> str:
    change = (time.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
    if not change:
        return ""
    minutes = round(abs(change).total_seconds() / 60)
    length = f"{minutes // 60}:{minutes % 60:02} h"
    text = _("clocks go forward by %s") if change > timedelta() else _("clocks go back by %s")
    return text % length


def _next_change(job: RedisCronJob, after: datetime, zone: tzinfo | None) -> str:
    """The next change of the clocks within a year, and the first run after it."""
    offset = after.astimezone(zone).utcoffset()
    low = after.astimezone(timezone.utc)  # in a zone, adding a day would move the wall clock
    for _day in range(366):
        high = low + timedelta(days=1)
        if high.astimezone(zone).utcoffset() != offset:
            break
        low = high
    else:
        return ""
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    # A time that the clocks skip runs at the moment of the change.
    runs = list(_runs(job.upcoming(1, after=high - timedelta(seconds=2)), zone))
    high = high.astimezone(zone)
    jump = _jump(low.astimezone(zone), high)
    if not runs:
        return ""
    return _("Later: %(change)s on %(day)s; the run then: %(run)s") % {
        "change": jump,
        "day": _after_weekday(high, date_format(high, "Y-m-d")),
        "run": " ".join(filter(None, (runs[0].text, runs[0].note and f"({runs[0].note})"))),
    }


def _note(time: datetime, zone: tzinfo | None) -> str:
    """Whether the wall clock shows this time twice."""
    naive = time.replace(tzinfo=None)
    first, second = (_utc(naive, fold, zone) for fold in (0, 1))
    if first >= second:
        return ""
    if time.timestamp() == first:
        return _("this time comes twice; the first")
    return _("this time comes twice; the second")


def _utc(naive: datetime, fold: int, zone: tzinfo | None) -> float:
    return naive.replace(tzinfo=zone, fold=fold).timestamp()
