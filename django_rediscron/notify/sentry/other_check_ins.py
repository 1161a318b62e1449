"""Whether runs of a schedule check in at Sentry by themselves, so that nothing is told twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sentry_sdk
from sentry_sdk.crons import monitor

from ...core.dotted_names import resolve_function
from ...core.schedule.definition import Definition

_FIELDS_OF_RQ_SCHEDULER = ("cron_string", "interval")
"""Keys in the `meta` of a job that the integration takes for one of rq-scheduler."""


def checks_in_itself(job: Definition) -> bool:
    """Whether Sentry's integration for RQ checks in for its jobs, or its function does."""
    return _is_watched_by_integration(job) or _is_monitored(job.func_name)


def _is_watched_by_integration(job: Definition) -> bool:
    # By its name, for importing it takes what the project may not want.
    integration = sentry_sdk.get_client().get_integration("rq")
    if not getattr(integration, "monitor_cron_jobs", False):  # an option since 2.75
        return False
    meta = job.job_options.get("meta") or {}
    return any(key in meta for key in _FIELDS_OF_RQ_SCHEDULER)


@lru_cache(maxsize=4096)
def _is_monitored(func_name: str) -> bool:
    """Whether a function is decorated with `sentry_sdk.monitor`, perhaps below other decorators."""
    try:
        function: Any = resolve_function(func_name)
    except Exception:  # its workers may be able to import it
        return False
    while function is not None:
        if getattr(function, "_sentry_monitored", False) or _has_monitor(function):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def _has_monitor(function: Callable[..., Any]) -> bool:
    """The same for releases of the SDK that do not mark the function."""
    cells = getattr(function, "__closure__", None) or ()
    return any(isinstance(_content(cell), monitor) for cell in cells)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None
