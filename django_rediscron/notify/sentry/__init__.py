"""A cron monitor of Sentry for each schedule: check-ins when runs begin and end."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.notifying.notification import PROGRESS
from ...core.notifying.receivers import Receiver
from ...core.quoting import quoted
from ...core.timing.durations import Duration, positive_seconds
from ..slugs import Slugs

try:
    import sentry_sdk  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sentry-sdk is not installed; run pip install 'django-rediscron[sentry]'"
    ) from error

from .check_ins import CheckIns
from .monitors import MOST_FAILURES, MonitorOptions

LONGEST_SLUG = 50
"""Characters that Sentry keeps."""

GATHER = 1.0
"""Seconds: many runs begin at the same time, and it takes a request for each of them."""

TIMEOUT = 600.0
"""Seconds for all that are told at once, up to a thousand: the SDK sends them one by one. If it
cannot send, an attempt fails after `delivery.FLUSH_TIMEOUT`."""


def make(
    prefix: str = "",
    margin: Duration = "5m",
    max_runtime: Duration | None = None,
    recoveries: int | None = None,
    owner: str | None = None,
    exclude: Sequence[str] = (),
    name: str = "sentry",
) -> Receiver:
    """A receiver that checks in at a Sentry monitor for each schedule, which follows its edits.

    `prefix`: beginning of all slugs, if several projects share a project of Sentry. `margin`: how
    late a run may start before Sentry reports it as missed, for schedules without a `margin` of
    their own. `max_runtime`: how long a run may take before Sentry reports it, for schedules
    without one. `recoveries`: successful runs after which Sentry resolves an issue. `owner`: of the
    monitors, such as `team:backend`. `exclude`: patterns such as `cache:*` of the ids of schedules
    without a monitor. `name`: needed if there are several such receivers.

    Check-ins are sent by the SDK as it was set up with `sentry_sdk.init` in the scheduler's
    process. Raises `ValueError` for invalid options.
    """
    options = MonitorOptions(
        margin=positive_seconds("margin", margin),
        max_runtime=None if max_runtime is None else positive_seconds("max_runtime", max_runtime),
        recoveries=_check_recoveries(recoveries),
        owner=owner,
    )
    check_ins = CheckIns(Slugs(prefix, LONGEST_SLUG), options, _check_patterns(exclude))
    return Receiver(
        name=name,
        tell=check_ins.tell,
        kinds=frozenset(PROGRESS),
        gather=GATHER,
        timeout=TIMEOUT,
    )


def _check_recoveries(value: int | None) -> int | None:
    if value is None or (type(value) is int and 1 <= value <= MOST_FAILURES):
        return value
    raise ValueError(
        f"recoveries must be a whole number from 1 to {MOST_FAILURES}, got {quoted(value)}"
    )


def _check_patterns(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(each, str) for each in value):
        raise ValueError(
            f"exclude must be a list of patterns such as ['cache:*'], got {quoted(value)}"
        )
    return tuple(value)
