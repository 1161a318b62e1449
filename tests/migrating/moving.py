"""What the tests of all sources share."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from django_rediscron.core.schedule.record import Record
from django_rediscron.migrating.comparing import Comparison, compare
from django_rediscron.migrating.found import Found

BERLIN = "Europe/Berlin"
SPRING = datetime(2027, 3, 15, tzinfo=timezone.utc)
"""Two weeks before the clocks of Europe are put forward, on 28 March at 01:00 UTC."""
AUTUMN = datetime(2027, 10, 15, tzinfo=timezone.utc)
"""Two weeks before they are put back, on 31 October at 01:00 UTC."""
MONTH = timedelta(days=30)


def job_of(found: Found) -> Record:
    """The schedule that it becomes."""
    assert found.options is not None, found.notes
    options = dict(found.options)
    return Record.requested(options.pop("func"), options.pop("queue_name"), found.id, options)  # type: ignore[arg-type]


def month(found: Found, begin: datetime, *, may_be_empty: bool = False) -> Comparison:
    """All times of a month, in both systems."""
    assert found.times is not None
    end, count = begin + MONTH, 32
    while True:
        both = compare(found.times, job_of(found), begin, count)
        assert not both.error, both.error
        if all(len(each) < count or each[-1] > end for each in (both.there, both.here)):
            break
        count *= 4
    there, here = ([time for time in times if time <= end] for times in (both.there, both.here))
    assert may_be_empty or (there and here)
    return Comparison(there, here)


def told_by(run: Callable[..., str], *arguments: str, status: int = 0) -> dict[str, dict[str, Any]]:
    """Id -> what the verb tells of it as JSON."""
    facts = json.loads(run("migrate", *arguments, "--json", status=status))
    return {each["id"]: each for each in facts["schedules"]}
