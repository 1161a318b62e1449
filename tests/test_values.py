"""Values as people give them are kept as plain ones, or refused by name."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum, IntEnum
from typing import Any

import pytest
from django.test import override_settings
from django.utils.functional import lazystr
from django.utils.safestring import SafeString
from redis import Redis
from rq import Callback, Retry

from django_rediscron import get_scheduler, register
from django_rediscron.checks import check_settings
from django_rediscron.conf import conf
from django_rediscron.core import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from tests import tasks


class Count:
    """A number of another library, as numpy's are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Moment(datetime):
    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        raise AssertionError("written by the subclass")


class Ratio(float):
    def __repr__(self) -> str:
        return f"Ratio({float(self)})"


def text(value: str) -> Any:
    """A member of an Enum that is this text, and is shown as another one."""
    return Enum("Choice", {"CHOSEN": value}, type=str)["CHOSEN"]  # type: ignore[misc,index]


def number(value: int) -> Any:
    return IntEnum("Number", {"CHOSEN": value})["CHOSEN"]  # type: ignore[misc,index]


MOMENT = (2027, 1, 1, 9, 30)
ODD: dict[str, Any] = {
    "id": text("report"),
    "queue_name": text("metrics"),
    "func_name": text("tests.tasks.echo"),
    "name": SafeString("The report"),
    "interval": number(300),
    "job_timeout": Count(60),
    "result_ttl": number(70),
    "ttl": text("80s"),
    "failure_ttl": Count(90),
    "timezone": text("Europe/Paris"),
    "start_at": Moment(*MOMENT, tzinfo=timezone.utc),
    "max_runs": Count(12),
    "jitter": Ratio(0.5),
    "misfire_grace": number(20),
    "catch_up": text("all"),
    "catch_up_limit": number(7),
    "overlap": text("skip"),
    "max_failures": Count(3),
    "max_runtime": text("1m"),
    "notify": {"failures": Count(2), text("late_after"): text("2m"), "margin": number(9)},
    "tags": [text("ops"), text("daily"), text("ops")],
    "retry": Retry(max=number(3), interval=[number(10)]),
    "on_success": text("tests.tasks.succeeded"),
    "on_failure": Callback(text("tests.tasks.failed"), timeout=number(30)),
    "description": text("The daily report"),
}
PLAIN: dict[str, Any] = {
    "id": "report",
    "queue_name": "metrics",
    "func_name": "tests.tasks.echo",
    "name": "The report",
    "interval": 300,
    "job_timeout": 60,
    "result_ttl": 70,
    "ttl": 80,
    "failure_ttl": 90,
    "timezone": "Europe/Paris",
    "start_at": datetime(*MOMENT, tzinfo=timezone.utc),
    "max_runs": 12,
    "jitter": 0.5,
    "misfire_grace": 20,
    "catch_up": "all",
    "catch_up_limit": 7,
    "overlap": "skip",
    "max_failures": 3,
    "max_runtime": 60,
    "notify": {"failures": 2, "late_after": 120, "margin": 9},
    "tags": ("daily", "ops"),
    "retry": Retry(max=3, interval=[10]),
    "on_success": "tests.tasks.succeeded",
    "on_failure": "tests.tasks.failed 30",
    "description": "The daily report",
}


def test_values_of_subclasses_are_kept_as_plain_ones(connection: Redis) -> None:
    plain = RedisCronJob(**PLAIN)
    assert RedisCronJob(**ODD).to_dict() == plain.to_dict()
    given: Any = {name: value for name, value in ODD.items() if name != "func_name"}
    RedisCronScheduler(connection).register(tasks.echo, **given)
    stored = RedisCronJob.fetch(ODD["id"], connection)
    assert stored.definition() == plain.definition()
    assert [type(key) for key in (stored.id, stored.queue_name)] == [str, str]
    texts = {name: ODD[name] for name in ("overlap", "description")}
    assert RedisCronJob.from_dict({**plain.to_dict(), **texts}).to_dict() == plain.to_dict()


@pytest.mark.parametrize("name", [name for name in ODD if name != "id"])
def test_values_of_subclasses_are_kept_as_plain_ones_when_they_are_set_later(
    connection: Redis, name: str
) -> None:
    RedisCronJob("report", "x", func=tasks.echo, interval=60, connection=connection).save()
    jobs = []
    for values in (ODD, PLAIN):
        job = RedisCronJob.fetch("report", connection)
        if hasattr(job, name):
            setattr(job, name, values[name])
        else:
            job.job_options[name] = values[name]
        job.save()
        jobs.append(RedisCronJob.fetch("report", connection))
    assert jobs[0].definition() == jobs[1].definition()


@pytest.mark.parametrize(
    "values",
    [
        {"interval": True},
        {"job_timeout": True},
        {"max_runs": True},
        {"jitter": False},
        {"misfire_grace": True},
        {"catch_up_limit": True},
        {"retry": True},
        {"enabled": number(1)},
        {"at_front": number(1)},
        {"name": lazystr("The report")},
        {"description": lazystr("The report")},
        {"overlap": text("SKIP")},
        {"args": (number(1),)},
        {"kwargs": {"kind": text("a")}},
        {"meta": {text("kind"): "a"}},
        {"webhooks": 5},
        {"webhooks": "https://example.com/hook"},
        {"webhooks": {"url": "https://example.com/hook"}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_has_no_plain_value_is_refused_by_name(
    connection: Redis, values: dict[str, Any]
) -> None:
    (name,) = values
    with pytest.raises(InvalidScheduleError, match=f"^{name}"):
        RedisCronJob("report", "x", func=tasks.echo, **{"interval": 60, **values})
    job = RedisCronJob("report", "x", func=tasks.echo, interval=60, connection=connection)
    if hasattr(job, name):
        setattr(job, name, values[name])
    else:
        job.job_options[name] = values[name]
    with pytest.raises(InvalidScheduleError, match=f"^{name}"):
        job.save()
    assert connection.keys("*") == []


# Durations and names of functions

DURATIONS = ("interval", "job_timeout", "result_ttl", "ttl", "failure_ttl", "jitter")
WAYS = [RedisCronJob, "scheduler", "django", register]


@pytest.mark.parametrize("way", WAYS, ids=["job", "scheduler", "django", "declared"])
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (timedelta(minutes=5), 300),
        ("10m", 600),
        ("1.5h", 5400),
        (" 2 D ", 172800),
        ("90", 90),
    ],
    ids=str,
)
def test_durations_and_names_of_functions_are_taken_by_all_ways_to_make_a_schedule(
    connection: Redis, starting: None, way: Any, given: Any, seconds: int
) -> None:
    makers = {
        "scheduler": RedisCronScheduler(connection).register,
        "django": get_scheduler().register,
    }
    names = (*DURATIONS, "misfire_grace")
    retry = {"max": 2, "intervals": [given, 7]}
    job = makers.get(way, way)(
        func="tests.tasks.echo",
        queue_name="default",
        id="report",
        retry=retry,
        on_success="tests.tasks.succeeded 1m",
        **dict.fromkeys(names, given),
    )
    fields = job.definition()
    assert {name: fields[name] for name in names} == dict.fromkeys(names, str(seconds))
    assert fields["retry"] == f'{{"max":2,"intervals":[{seconds},7]}}'
    assert (fields["func_name"], job.func) == ("tests.tasks.echo", tasks.echo)


def test_durations_are_also_taken_when_they_are_set_later(connection: Redis) -> None:
    job = RedisCronJob("report", "x", func=tasks.echo, interval=60, connection=connection)
    job.save()
    job.interval, job.jitter = "2h", timedelta(milliseconds=1500)  # type: ignore[assignment]
    job.misfire_grace = "0.5s"  # type: ignore[assignment]
    job.job_options["ttl"] = timedelta(hours=1)
    job.save()
    stored = RedisCronJob.fetch("report", connection)
    assert (stored.interval, stored.jitter, stored.misfire_grace) == (7200, 1.5, 0.5)
    assert stored.job_options["ttl"] == 3600


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize(
    "given", ["soon", "10 minutes", "m", "", timedelta(days=10**6), "9" * 30, "9\nm"]
)
def test_what_is_no_duration_is_refused_by_name(name: str, given: Any) -> None:
    if given == "" and name == "interval":
        given = "-1s"
    with pytest.raises(InvalidScheduleError, match=f"^{name} must be"):
        RedisCronJob("report", "x", func=tasks.echo, **{"interval": 60, name: given})


@pytest.mark.parametrize("name", [name for name in DURATIONS if name != "jitter"])
@pytest.mark.parametrize("given", ["1.5s", timedelta(seconds=1.5)], ids=str)
def test_whole_seconds_are_asked_for_where_redis_counts_them(name: str, given: Any) -> None:
    with pytest.raises(InvalidScheduleError, match=f"^{name} must be .*whole number"):
        RedisCronJob("report", "x", func=tasks.echo, **{"interval": 60, name: given})


def test_settings_of_the_scheduler_are_durations_too(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection, lock_ttl="2m", max_sleep_interval=timedelta(0, 9.5))
    assert (scheduler.lock_ttl, scheduler.max_sleep_interval) == (120, 9.5)
    given = {"LOCK_TTL": timedelta(minutes=1), "MAX_SLEEP_INTERVAL": "1.5"}
    with override_settings(REDISCRON=given):
        assert (conf.LOCK_TTL, conf.MAX_SLEEP_INTERVAL) == (60, 1.5)
        assert check_settings() == []
    with pytest.raises(ValueError, match=r"lock_ttl must be .* got 'long'"):
        RedisCronScheduler(connection, lock_ttl="long")
