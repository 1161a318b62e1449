"""Moments as the project's Django has them: aware, or without `USE_TZ` naive, in `TIME_ZONE`."""

from __future__ import annotations

from datetime import datetime, tzinfo

from django.conf import settings
from django.utils import timezone


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
