"""Values of subclasses, such as members of an `Enum`, as the plain text or number that they are.

`str()` of such a member is its name, and that is what would be written to Redis.
"""

from __future__ import annotations

import operator
from datetime import datetime
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .definition import Definition

_PLAIN = frozenset((type(None), bool, int, float, str, datetime, list, tuple, dict))
_ATTRIBUTES = ("id", "queue_name", "_func_name", "name", "interval", "cron", "enabled")
"""Of a schedule, beside its options. The setter of `func_name` would forget the function."""


def plain(value: Any) -> Any:
    """A subclass of text, number or datetime as its base; any other value as it is.

    A number of another kind, such as numpy's, becomes Python's own. What lists and dicts hold is
    left alone.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, datetime):
        parts = value.timetuple()[:6]
        return datetime(*parts, value.microsecond, value.tzinfo, fold=value.fold)
    if hasattr(type(value), "__index__"):
        return operator.index(value)
    return float(value) if isinstance(value, Real) else value


def make_plain(job: Definition) -> None:
    """Bring all that a schedule says into plain values; nearly always it does already."""
    options = job.job_options
    said = (job.id, job.queue_name, job.func_name, job.name, job.interval, job.cron, job.enabled)
    if not job.time_options and _PLAIN.issuperset(map(type, (*said, *options.values()))):
        return
    for name in _ATTRIBUTES:
        setattr(job, name, plain(getattr(job, name)))
    job.job_options = {name: plain(value) for name, value in options.items()}
    job.time_options = {name: plain(value) for name, value in job.time_options.items()}
