"""The ends of the calendar, and of every number: refused by name, or all works with it.

Also where it stands in a hash that somebody else wrote: then it harms its own schedule only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from django_rediscron.core import (
    DamagedScheduleError,
    InvalidScheduleError,
    RedisCronJob,
    RedisCronScheduler,
)
from django_rediscron.core.store import list_schedules, reindex
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks

from .conftest import LIST
from .forms import change_url, errors, load, send

UTC = timezone.utc
ZONES: list[tzinfo] = [
    UTC,
    ZoneInfo("Asia/Tokyo"),
    ZoneInfo("Pacific/Kiritimati"),
    ZoneInfo("America/New_York"),
    timezone(timedelta(hours=-23, minutes=-59)),
]
NAMES = [None, "UTC", "Pacific/Kiritimati", "America/New_York", "Africa/Monrovia"]

YEARS = [1, 1582, 1900, 1969, 1970, 1971, 2026, 2038, 2106, 2300, 8999, 9000, 9001, 9998, 9999]
EXTREME = sorted({sign * 10**power for power in range(0, 25, 3) for sign in (1, -1)} | {0})
EXTREME += [2**31 - 1, 2**31, 2**53, 2**63, 100 * 366 * 86400, 100 * 366 * 86400 + 1]


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    first = datetime(draw(st.sampled_from(YEARS)), 1, 1, tzinfo=draw(st.sampled_from(ZONES)))
    if draw(st.booleans()):
        return first
    return first.replace(month=12, day=31, hour=23, minute=59, second=59, microsecond=999_999)


NUMBERS = st.sampled_from(EXTREME) | st.integers()
FLOATS = NUMBERS | st.floats()
TIMES = ("start_at", "end_at", "latest_enqueue_time", "next_enqueue_time")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys((*TIMES, "created_at", "updated_at"), moments()),
    **dict.fromkeys(("jitter", "misfire_grace", "max_runtime"), FLOATS),
    **dict.fromkeys(
        (
            "max_runs",
            "max_failures",
            "catch_up_limit",
            "job_timeout",
            "result_ttl",
            "ttl",
            "failure_ttl",
            "retry",
        ),
        NUMBERS,
    ),
    "notify": st.dictionaries(st.sampled_from(["failures", "late_after", "margin"]), FLOATS),
    "timezone": st.sampled_from(NAMES),
    "catch_up": st.sampled_from(["latest", "all", "skip"]),
}
WHEN = st.fixed_dictionaries({"interval": NUMBERS}) | st.fixed_dictionaries(
    {"cron": st.sampled_from(["0 0 29 2 *", "* * * * *", "* * * * * *", "30 2 * * *", "@yearly"])}
)
RUNS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=3))
    return {**draw(WHEN), **{name: draw(VALUES[name]) for name in names}}


@RUNS
@given(options(), moments(), moments())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_not_refused_by_name_works(
    connection: Redis,
    leader: RedisCronScheduler,
    operator: Client,
    options: dict[str, Any],
    after: datetime,
    latest: datetime,
) -> None:
    connection.delete("rq:cron_job:extreme", "rq:cron_jobs", "rq:cron_jobs:disabled")
    try:
        job = RedisCronJob("extreme", "default", tasks.echo, connection=connection, **options)
        job.save()
    except InvalidScheduleError as refusal:
        message = str(refusal)
        assert any(message.startswith(name) for name in options), message
        assert len(message) < 400
        return
    if 1970 < latest.year < 9000:
        job.set_enqueue_time(latest)
    if 1970 < after.year < 9000:
        assert len(list(job.upcoming(200, after=after))) <= 200
    works_everywhere(connection, leader, operator)


def works_everywhere(connection: Redis, leader: RedisCronScheduler, operator: Client) -> None:
    """Whatever shows it or computes with it: an error may only be that of this schedule."""
    listing = list_schedules(connection)
    assert len(listing.jobs) + len(listing.damaged) == 1
    assert operator.get(LIST).status_code == 200
    assert operator.get(change_url("extreme")).status_code == 200
    reindex(connection)
    leader.enqueue_jobs()
    for job in list_schedules(connection).jobs:
        for time in job.upcoming(100):
            assert 1900 < time.year < 9999
        job.get_next_enqueue_time()
        RedisCronJob.from_dict(job.to_dict())
        try:
            job.disable()
            job.enable()
        except DamagedScheduleError as error:
            assert error.id == "extreme"  # noqa: PT017


TEXTS = st.sampled_from(
    [
        *(f"{year:04}-{day}T{time}Z" for year in YEARS for day, time in (
            ("01-01", "00:00:00.000000"),
            ("12-31", "23:59:59.999999"),
        )),
        *map(str, EXTREME),
        "-0", "nan", "inf", "-inf", "1e400", "9" * 5000, "x" * 5000, "", "\x00", "²", "2026",
    ]
)  # fmt: skip
FIELDS = (*sorted(VALUES), "interval", "runs", "revision", "finished_at", "last_error_at",
          "orphaned_at", "disabled_as_orphan_at", "enabled")  # fmt: skip


@pytest.mark.slow
@RUNS
@given(
    st.sampled_from([{"interval": "60"}, {"cron": "30 2 * * *"}]),
    st.dictionaries(st.sampled_from(FIELDS), TEXTS, min_size=1, max_size=3),
    st.sampled_from([-1e300, -1.0, 1.0, 1e12, 1e300, float("inf")]),
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_hash_that_somebody_else_wrote_harms_its_own_schedule_only(
    connection: Redis,
    leader: RedisCronScheduler,
    operator: Client,
    when: dict[str, str],
    fields: dict[str, str],
    place: float,
) -> None:
    connection.delete("rq:cron_job:extreme", "rq:cron_jobs", "rq:cron_jobs:disabled")
    plain = {"id": "extreme", "queue_name": "default", "func_name": "tests.tasks.echo"}
    plain["created_at"] = utc_text(datetime(2026, 1, 1, tzinfo=UTC))
    connection.hset("rq:cron_job:extreme", mapping={**plain, **when, **fields})
    connection.zadd("rq:cron_jobs", {"extreme": place})
    connection.zadd("rq:cron_job:extreme:jobs", {"a": place})
    works_everywhere(connection, leader, operator)


@pytest.mark.parametrize("field", ["start_at", "end_at"])
@pytest.mark.parametrize("year", ["0001-01-01", "9998-12-31", "9999-12-31"])
def test_a_form_refuses_the_ends_of_the_calendar_at_the_field(
    operator: Client, schedule: Callable[..., RedisCronJob], field: str, year: str
) -> None:
    schedule("nightly", cron="0 3 * * *", timezone="Asia/Tokyo")
    url = change_url("nightly")
    values = load(operator, url)
    changes = {field: f"{year} 00:00:00", f"{field}_0": year, f"{field}_1": "00:00:00"}
    response = send(operator, url, values, **changes)
    ((name, (message,)),) = errors(response).items()
    assert name == field
    assert "1970 to 9000" in message
