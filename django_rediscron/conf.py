"""The settings: `REDISCRON = {...}`, all of it optional, and what `USE_TZ` makes of moments.

Redis itself is in `RQ_QUEUES`.
"""

from __future__ import annotations

import os
from datetime import datetime, tzinfo
from typing import Any, TypeGuard, cast

from django.conf import settings
from django.utils import timezone

from .core.monitoring.measurements import SCHEDULES, check_schedules
from .core.plain import plain
from .core.schedule.missed import LATE_AFTER
from .core.sensitive import SENSITIVE
from .core.story.following import KEEP_RUNS
from .core.timing.durations import as_seconds

KNOWN = (
    "QUEUE",
    "APPLICATION",
    "LOCK_TTL",
    "MAX_SLEEP_INTERVAL",
    "KEEP_RUNS",
    "LATE_AFTER",
    "METRICS_SCHEDULES",
    "METRICS_TOKEN",
    "HEARTBEAT_URL",
    "ALLOWED_FUNCTIONS",
    "SENSITIVE",
    "NOTIFY",
    "FILES",
)


def is_pattern(value: object) -> bool:
    """Whether it is a dotted name, which may have `*` in any part but the first.

    A first part with `*` would allow the functions of Python itself.
    """
    if not isinstance(value, str):
        return False
    first, *rest = value.split(".")
    return (
        bool(rest)
        and first.isidentifier()
        and all(part.replace("*", "x").isidentifier() for part in rest)
    )


def is_name(value: object) -> TypeGuard[str]:
    """Whether it is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def is_token(value: object) -> TypeGuard[str]:
    """Whether it is a text that a header can carry as it is: visible ASCII characters."""
    return is_name(value) and all("!" <= each <= "~" for each in value)


class Settings:
    """Each is read when it is asked for, so that `override_settings` works."""

    @property
    def QUEUE(self) -> str:
        """The queue whose Redis the scheduler uses where none is named."""
        given = self._given()
        if "QUEUE" in given:
            return cast(str, given["QUEUE"])
        # django-rq's own default; a project that has no queue of that name put its main one first.
        queues = getattr(settings, "RQ_QUEUES", None)
        if not isinstance(queues, dict) or "default" in queues or not queues:
            return "default"
        return cast(str, next(iter(queues)))

    @property
    def APPLICATION(self) -> str:
        """Whose the declared schedules are, among the projects that share one Redis."""
        given = self._given()
        if "APPLICATION" in given:
            return cast(str, given["APPLICATION"])
        # The first is None while settings are overridden, and where they come from no module.
        module = getattr(settings, "SETTINGS_MODULE", None)
        return module or os.environ.get("DJANGO_SETTINGS_MODULE") or "django"

    @property
    def LOCK_TTL(self) -> int:
        """Seconds after which another scheduler may take over from one that died."""
        # Three heartbeats fit in it, and after a crash the next scheduler need not wait a minute.
        return cast(int, as_seconds(self._given().get("LOCK_TTL", 30)))

    @property
    def MAX_SLEEP_INTERVAL(self) -> float:
        """Seconds after which a change is seen even where Pub/Sub does not work."""
        # As RQ's own scheduler: once a minute costs nothing, and changes arrive by Pub/Sub anyway.
        return cast(float, as_seconds(self._given().get("MAX_SLEEP_INTERVAL", 60.0)))

    @property
    def KEEP_RUNS(self) -> int:
        """How many runs of each schedule are kept when they have ended."""
        return cast(int, self._given().get("KEEP_RUNS", KEEP_RUNS))

    @property
    def LATE_AFTER(self) -> float:
        """Seconds by which a run must be late to give an alarm."""
        return cast(float, as_seconds(self._given().get("LATE_AFTER", LATE_AFTER)))

    @property
    def METRICS_SCHEDULES(self) -> int:
        """Schedules up to which metrics tell of each."""
        # A web server runs no system checks: after a mistake the default counts.
        try:
            return check_schedules(self._given().get("METRICS_SCHEDULES", SCHEDULES))
        except ValueError:
            return SCHEDULES

    @property
    def METRICS_TOKEN(self) -> str:
        """What a scraper sends to be told metrics; empty if only staff is."""
        # A mistake in it admits nobody; the system checks say so.
        given = self._given().get("METRICS_TOKEN")
        return given if is_token(given) else ""

    @property
    def HEARTBEAT_URL(self) -> str:
        """Requested once a minute while a scheduler leads and nothing is late; empty for none."""
        return cast(str, self._given().get("HEARTBEAT_URL") or "")

    @property
    def ALLOWED_FUNCTIONS(self) -> tuple[str, ...]:
        """Functions that may be chosen in the admin, beside those that the code vouches for."""
        # A mistake in it allows nothing; the system checks say so.
        given = self._given().get("ALLOWED_FUNCTIONS", ())
        return tuple(filter(is_pattern, given)) if isinstance(given, (list, tuple, set)) else ()

    @property
    def SENSITIVE(self) -> tuple[str, ...]:
        """Parts of the names of keyword arguments whose values are shown to nobody."""
        # After a mistake in it the default counts; the system checks speak of it.
        given = self._given().get("SENSITIVE", SENSITIVE)
        is_right = isinstance(given, (list, tuple, set)) and all(map(is_name, given))
        return tuple(given) if is_right else SENSITIVE

    @property
    def NOTIFY(self) -> object:
        """Receivers of alarms: dotted names, or pairs of one and its options, as they are given."""
        return self._given().get("NOTIFY", [])

    @property
    def FILES(self) -> tuple[str, ...]:
        """Files that declare schedules; those with relative paths are below `BASE_DIR`."""
        # After a mistake in it none is declared; the system checks speak of it, and all commands
        # that write declarations require that the settings are right.
        given = self._given().get("FILES", ())
        if not isinstance(given, (list, tuple)):
            return ()
        paths = [os.fspath(each) for each in given if isinstance(each, (str, os.PathLike))]
        return tuple(path for path in paths if is_name(path))

    def _given(self) -> dict[str, Any]:
        given = getattr(settings, "REDISCRON", None)
        if not isinstance(given, dict):
            return {}  # the system checks speak of it
        return {name: plain(value) for name, value in given.items()}


conf = Settings()


def as_django_has_it(moment: datetime) -> datetime:
    """An aware moment as Django stores and shows it in this project."""
    if settings.USE_TZ:
        return moment
    return in_zone(moment, timezone.get_default_timezone()).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """The same moment with a time zone; one without is in `TIME_ZONE`."""
    if timezone.is_aware(moment):
        return moment
    return moment.replace(tzinfo=timezone.get_default_timezone())


def current_zone() -> tzinfo:
    """The zone in which people read and type times: of the request, if the project has that."""
    return timezone.get_current_timezone() if settings.USE_TZ else timezone.get_default_timezone()


def local(moment: datetime) -> datetime:
    """A moment in the zone in which people read it."""
    return in_zone(moment, current_zone())


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """A moment in a zone; as it is where that is beyond the ends of the calendar."""
    moment = aware(moment)
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment
