"""Time zones by their IANA names."""

from __future__ import annotations

from datetime import timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from ..exceptions import InvalidScheduleError
from ..quoting import quoted

UTC = timezone.utc


def check_timezone(name: str, value: object) -> str | None:
    """The IANA name of a zone that this system knows."""
    if value is None or value == "":
        return None
    key = getattr(value, "key", None) if isinstance(value, tzinfo) else value
    if not isinstance(key, str):
        raise InvalidScheduleError(
            f"{name} must be the IANA name of a time zone such as 'Europe/Paris', or a ZoneInfo "
            f"that has one, got {quoted(value)}"
        )
    find_zone(key)
    return key


def is_portable(name: str) -> bool:
    """Whether this name means the same zone on every machine.

    Some systems have further files: the machine's own zone, and copies with leap seconds.
    """
    return name not in _LOCAL and not name.startswith(_COPIES)


_LOCAL = ("localtime", "posixrules", "Factory")
_COPIES = ("right/", "posix/")


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises `InvalidScheduleError` if this system has none."""
    if not is_portable(name):
        raise InvalidScheduleError(
            f"timezone must be the IANA name of a time zone such as 'Europe/Paris', "
            f"got {quoted(name)}, which is not the same on every machine; name the zone itself, or "
            f"leave it out for the local zone of the scheduler"
        )
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise InvalidScheduleError(
            f"timezone must be the IANA name of a time zone such as 'Europe/Paris', "
            f"got {quoted(name)}; correct it, or install the package tzdata where the system has "
            f"no time zones"
        ) from None
