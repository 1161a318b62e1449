"""Options of a schedule: kept as given, checked before anything is written, handed to RQ."""

from __future__ import annotations

import inspect
import json
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis
from rq import Callback, Queue, Retry, SimpleWorker
from rq.job import Job

from django_rediscron import current_occurrence, register
from django_rediscron.cli.listing.as_json import to_json
from django_rediscron.core import (
    DamagedScheduleError,
    InvalidScheduleError,
    RedisCronJob,
    RedisCronScheduler,
    ScheduleArguments,
    ScheduleOptions,
)
from django_rediscron.core.schedule.options import JOB_DEFAULTS
from django_rediscron.core.store import list_schedules
from tests import tasks

UTC = timezone.utc
PARIS = ZoneInfo("Europe/Paris")
FULL: dict[str, Any] = {
    "timezone": "Europe/Paris",
    "start_at": datetime(2026, 1, 1, 9, tzinfo=PARIS),
    "end_at": datetime(2126, 1, 1, tzinfo=UTC),
    "max_runs": 12,
    "jitter": 30,
    "misfire_grace": 1.5,
    "catch_up": "all",
    "catch_up_limit": 7,
    "overlap": "queue_one",
    "max_failures": 3,
    "max_runtime": 0.5,
    "notify": {"failures": 3, "late_after": 90.5, "by_hand": True},
    "tags": ("daily", "team:ops"),
    "retry": Retry(max=3, interval=[10, 30]),
    "on_success": "tests.tasks.succeeded",
    "on_failure": Callback(tasks.failed, timeout=30),
    "on_stopped": tasks.stopped,
    "at_front": True,
    "description": "The daily report",
}
TEXTS = {
    "timezone": "Europe/Paris",
    "start_at": "2026-01-01T08:00:00.000000Z",
    "end_at": "2126-01-01T00:00:00.000000Z",
    "max_runs": "12",
    "jitter": "30",
    "misfire_grace": "1.5",
    "catch_up": "all",
    "catch_up_limit": "7",
    "overlap": "queue_one",
    "max_failures": "3",
    "max_runtime": "0.5",
    "notify": '{"failures":3,"late_after":90.5,"by_hand":true}',
    "tags": "daily team:ops",
    "retry": '{"max":3,"intervals":[10,30]}',
    "on_success": "tests.tasks.succeeded",
    "on_failure": "tests.tasks.failed 30",
    "on_stopped": "tests.tasks.stopped",
    "at_front": "1",
    "description": "The daily report",
}


# What belongs to a stored schedule, and is not for people to choose.
STATE = {
    *("connection", "created_at", "updated_at"),
    *("latest_enqueue_time", "next_enqueue_time"),
}


def make(**options: Any) -> RedisCronJob:
    return RedisCronJob("report", "metrics", func=tasks.echo, cron="0 9 * * *", **options)


def test_options_are_hash_fields_attributes_and_parts_of_the_listing(connection: Redis) -> None:
    job = make(connection=connection, **FULL)
    job.save(event="created")
    stored = {k.decode(): v.decode() for k, v in connection.hgetall(job.key).items()}
    assert {name: stored.get(name) for name in TEXTS} == TEXTS
    loaded = RedisCronJob.fetch("report", connection)
    assert loaded.definition() == job.definition()
    assert RedisCronJob.from_dict(loaded.to_dict()).definition() == job.definition()
    for name in (
        *("max_runs", "jitter", "misfire_grace", "catch_up", "catch_up_limit", "overlap"),
        *("max_failures", "max_runtime", "notify", "tags"),
    ):
        assert getattr(loaded, name) == FULL[name]
    assert (loaded.timezone, loaded.zone) == ("Europe/Paris", PARIS)
    assert loaded.start_at == FULL["start_at"]
    assert loaded.job_options["retry"].intervals == [10, 30]
    assert loaded.schedule == "0 9 * * * (Europe/Paris)"
    (listed,) = json.loads(to_json(list_schedules(connection)))["jobs"]
    names = ("timezone", "end_at", "overlap", "notify", "tags", "retry", "state")
    assert {name: listed[name] for name in names} == {
        "timezone": "Europe/Paris",
        "end_at": TEXTS["end_at"],
        "overlap": "queue_one",
        "notify": FULL["notify"],
        "tags": list(FULL["tags"]),
        "retry": {"max": 3, "intervals": [10, 30]},
        "state": "enabled",
    }


def test_defaults_are_not_stored_and_a_hash_without_them_has_them(connection: Redis) -> None:
    job = make(connection=connection)
    job.save(event="created")
    assert not {name.decode() for name in connection.hkeys(job.key)} & set(TEXTS)
    full = make(connection=connection, **FULL)
    full.save()
    make(connection=connection).save()  # constructed, so its whole definition is written
    assert not {name.decode() for name in connection.hkeys(job.key)} & set(TEXTS)
    loaded = RedisCronJob.fetch("report", connection)
    assert (loaded.timezone, loaded.jitter, loaded.catch_up, loaded.overlap) == (
        None,
        0,
        "latest",
        "allow",
    )


def test_a_loaded_schedule_writes_the_option_that_was_changed(connection: Redis) -> None:
    make(connection=connection, **FULL).save(event="created")
    one, other = (RedisCronJob.fetch("report", connection) for _ in range(2))
    one.overlap = "skip"
    one.save()
    other.misfire_grace = None
    other.job_options["retry"] = 5
    other.save()
    loaded = RedisCronJob.fetch("report", connection)
    assert (loaded.overlap, loaded.misfire_grace) == ("skip", None)
    assert loaded.job_options["retry"].max == 5
    assert loaded.jitter == 30


@pytest.mark.parametrize(
    ("given", "kept", "text"),
    [
        (True, True, None),
        ({}, True, None),
        ({"failures": 1, "late_after": None, "by_hand": False}, True, None),
        (False, False, "0"),
        (
            {"by_hand": True, "margin": "5m", "failures": 2},
            {"failures": 2, "margin": 300, "by_hand": True},
            '{"failures":2,"margin":300,"by_hand":true}',
        ),
    ],
    ids=str,
)
def test_what_a_schedule_says_of_alarms_is_kept_in_one_form(
    connection: Redis, given: Any, kept: Any, text: str | None
) -> None:
    make(connection=connection, notify=given).save(event="created")
    stored = connection.hget("rq:cron_job:report", "notify")
    assert (stored and stored.decode()) == text
    assert RedisCronJob.fetch("report", connection).notify == kept


def test_zones_are_taken_as_objects_too() -> None:
    assert make(timezone=PARIS).timezone == "Europe/Paris"
    job = make(timezone=PARIS)
    assert job.next_enqueue_time is not None
    assert job.next_enqueue_time.astimezone(PARIS).hour == 9


def test_every_way_to_make_a_schedule_takes_the_options(connection: Redis, starting: None) -> None:
    job = RedisCronScheduler(connection).register(
        tasks.echo, "default", id="a", interval=60, **FULL
    )
    assert job.definition().items() >= TEXTS.items()
    declared = register(tasks.echo, "default", "b", interval=60, **FULL)
    assert declared.definition().items() >= TEXTS.items()
    constructor = {*inspect.signature(RedisCronJob).parameters, *FULL} - {"func_name", "options"}
    arguments = {*ScheduleArguments.__annotations__}
    ways: list[tuple[Any, set[str]]] = [
        (RedisCronJob, constructor - {"func", "queue_name", "id"} - STATE),
        (RedisCronScheduler(connection).register, arguments),
        (register, arguments | {"locked"}),
    ]
    for function, taken in ways:
        with pytest.raises(TypeError, match="jiter") as error:
            function(func=tasks.echo, queue_name="default", id="x", interval=1, jiter=3)
        told = set(str(error.value).partition("there are ")[2].split(", "))
        assert told == taken
    assert set(ScheduleOptions.__annotations__) == set(FULL)
    assert arguments - set(FULL) == constructor - set(FULL) - {"func", "queue_name", "id"} - STATE


def test_arguments_of_register_may_also_stand_by_position(connection: Redis) -> None:
    register = RedisCronScheduler(connection).register
    job = register(tasks.echo, "default", "a", ("x",), {"y": 1}, 60, None, 30, name="label")
    assert (job.args, job.kwargs, job.interval) == (("x",), {"y": 1}, 60)
    assert (job.job_options["job_timeout"], job.name) == (30, "label")
    with pytest.raises(TypeError, match="multiple values for argument 'args'"):
        register(tasks.echo, "default", "a", ("x",), interval=60, args=())
    with pytest.raises(TypeError, match="from 3 to 13 positional arguments but 14 were"):
        register(tasks.echo, "default", "a", *[None] * 11)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"timezone": "Europe/Pariss"}, "timezone.*'Europe/Pariss'.*correct"),
    ({"timezone": "../etc/passwd"}, "timezone.*passwd"),
    ({"timezone": "localtime"}, "timezone.*'localtime'.*every machine; name the zone"),
    ({"timezone": "posixrules"}, "timezone.*'posixrules'.*every machine"),
    ({"timezone": "Factory"}, "timezone.*'Factory'.*every machine"),
    ({"timezone": "right/Europe/Paris"}, "timezone.*'right/Europe/Paris'.*every machine"),
    ({"timezone": "posix/Europe/Paris"}, "timezone.*'posix/Europe/Paris'.*every machine"),
    ({"timezone": 1}, "timezone.*got 1"),
    ({"timezone": timezone(timedelta(hours=1))}, "timezone.*IANA name"),
    ({"start_at": datetime(2026, 1, 1)}, "start_at must be an aware datetime.*2026.*tzinfo"),
    ({"end_at": "2026-01-01"}, "end_at must be an aware datetime, got '2026-01-01'"),
    (
        {"start_at": datetime(2027, 1, 1, tzinfo=UTC), "end_at": datetime(2026, 1, 1, tzinfo=UTC)},
        "end_at must not be before start_at.*2026-01-01.*2027-01-01.*correct",
    ),
    ({"max_runs": 0}, "max_runs.*positive whole number.*got 0"),
    ({"max_runs": True}, "max_runs.*got True"),
    ({"jitter": -1}, "jitter.*from 0.*got -1"),
    ({"jitter": float("nan")}, "jitter.*got nan"),
    ({"max_failures": 0}, "max_failures.*positive.*got 0"),
    ({"max_failures": 1.5}, "max_failures.*whole.*got 1.5"),
    ({"max_runtime": 0}, "max_runtime.*positive.*got 0"),
    ({"max_runtime": "5 minutes"}, "max_runtime.*got '5 minutes'.*'5m'"),
    ({"tags": "daily"}, "tags must be a list of words, got 'daily'"),
    ({"tags": None}, "tags must be a list of words, got None"),
    ({"tags": ["a b"]}, "tags must be words of at most 50 letters, digits and -_.:/, got 'a b'"),
    ({"tags": ["a", ["b"]]}, r"tags must be words.*got \['b'\]"),
    ({"tags": [""]}, "tags must be words.*got ''"),
    ({"tags": ["x" * 51]}, "tags must be words.*got 'xxx"),
    ({"tags": [str(n) for n in range(21)]}, "tags must be at most 20 words, got 21"),
    ({"notify": 1}, "notify must be True, False or a dict of failures, late_after.*got 1"),
    ({"notify": None}, "notify.*got None"),
    ({"notify": {"failure": 1, 5: 2}}, "notify.*unknown.*'failure', 5.*failures, late_after, marg"),
    ({"notify": {"failures": 0}}, "^notify\\['failures'\\] must be a whole number from 1, got 0"),
    ({"notify": {"failures": True}}, "notify.*failures.*got True"),
    ({"notify": {"late_after": "soon"}}, "notify.*late_after.*positive.*got 'soon'.*'5m'"),
    ({"notify": {"margin": -1}}, "notify.*margin.*positive.*got -1"),
    ({"notify": {"by_hand": 1}}, "notify.*by_hand.*must be True or False, got 1"),
    ({"misfire_grace": 0}, "misfire_grace.*positive.*got 0"),
    ({"misfire_grace": "5 minutes"}, "misfire_grace.*got '5 minutes'.*'5m'"),
    ({"catch_up": "some"}, "catch_up.*'latest', 'all', 'skip', got 'some'"),
    ({"catch_up_limit": 0}, "catch_up_limit.*got 0.*catch_up='skip'"),
    ({"overlap": "queue"}, "overlap.*'queue_one', got 'queue'"),
    ({"overlap": ["skip"]}, "overlap.*got \\['skip'\\]"),
    ({"retry": 0}, "retry.*positive whole number.*got 0"),
    ({"retry": {"max": 1, "intervals": [-1]}}, "retry.*intervals.*-1"),
    ({"retry": {"max": 1, "interval": 1}}, "retry.*only"),
    ({"retry": "often"}, "retry.*rq.Retry.*'often'"),
    ({"on_success": "reports"}, "on_success.*dotted name.*'reports'"),
    ({"on_success": "reports.done soon"}, "on_success.*time-out.*soon"),
    ({"on_failure": lambda *_: None}, "on_failure.*importable"),
    ({"on_stopped": "tests.tasks.nothing"}, "on_stopped 'tests.tasks.nothing'.*imported"),
    ({"on_stopped": "tests.tasks.NOT_A_FUNCTION"}, "on_stopped must lead to a function"),
    ({"on_stopped": 5}, "on_stopped.*got 5"),
    ({"at_front": 1}, "at_front must be True or False, got 1"),
    ({"description": 5}, "description must be a string, got 5"),
    ({"description": "\ud800"}, "description must be a string"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_bad_values_are_refused_before_anything_is_written(
    connection: Redis, options: dict[str, Any], reason: str
) -> None:
    scheduler = RedisCronScheduler(connection)
    with pytest.raises(InvalidScheduleError, match=f"(?s){reason}"):
        scheduler.register(tasks.echo, "metrics", id="report", cron="0 9 * * *", **options)
    assert connection.keys("*") == []
    make(connection=connection).save(event="created")
    before = connection.hgetall("rq:cron_job:report")
    job = RedisCronJob.fetch("report", connection)
    for name, value in options.items():
        if name in JOB_DEFAULTS:
            job.job_options[name] = value
        else:
            setattr(job, name, value)
    with pytest.raises(InvalidScheduleError, match=f"(?s){reason}"):
        job.save()
    assert connection.hgetall("rq:cron_job:report") == before


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("timezone", "Mars/Olympus"),
        ("start_at", "tomorrow"),
        ("max_runs", "many"),
        ("jitter", "-1"),
        ("jitter", "nan"),
        ("catch_up", "none"),
        ("notify", "yes"),
        ("notify", "[]"),
        ("notify", '{"failures":1.5}'),
        ("notify", '{"failures":'),
        ("retry", "[1"),
        ("retry", "[1]"),
        ("at_front", "yes"),
        ("on_success", "nowhere"),
    ],
)
def test_a_stored_option_that_cannot_be_read_damages_its_schedule_only(
    connection: Redis, field: str, text: str
) -> None:
    make(connection=connection).save(event="created")
    connection.hset("rq:cron_job:report", field, text)
    with pytest.raises(DamagedScheduleError, match=field):
        RedisCronJob.fetch("report", connection)
    assert [damaged.id for damaged in list_schedules(connection).damaged] == ["report"]


def test_a_running_function_learns_its_occurrence(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register_birth()
    scheduled = scheduler.register(
        tasks.tell_occurrence, "metrics", id="visits/\u00fc", interval=60, meta={"mine": 1}
    )
    scheduler.enqueue_jobs()
    retried = scheduler.register(
        tasks.tell_occurrence,
        "metrics",
        id="retried",
        interval=60,
        kwargs={"fail_first": True},
        retry=1,
    )
    scheduler.enqueue_jobs()
    by_hand = scheduled.enqueue(connection)
    queue = Queue("metrics", connection=connection)
    foreign = queue.enqueue(current_occurrence)
    SimpleWorker([queue], connection=connection).work(burst=True)
    latest = RedisCronJob.fetch(scheduled.id, connection).latest_enqueue_time
    assert latest is not None
    job_ids = scheduled.get_job_ids(connection)
    results = {id: Job.fetch(id, connection=connection).return_value() for id in job_ids}
    assert results.pop(by_hand.id) == ["visits/\u00fc", None]
    assert list(results.values()) == [["visits/\u00fc", latest.isoformat()]]
    (retried_id,) = retried.get_job_ids(connection)
    second = Job.fetch(retried_id, connection=connection)
    due = RedisCronJob.fetch("retried", connection).latest_enqueue_time
    assert due is not None
    assert second.return_value() == ["retried", due.isoformat()]
    told = current_occurrence(second)
    assert told is not None
    assert told.time == due
    assert foreign.return_value() is None
    assert current_occurrence() is None
    assert set(Job.fetch(by_hand.id, connection=connection).meta) == {"mine"}
