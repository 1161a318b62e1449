"""One schedule: what it accepts, how it is stored, and that no edit is lost."""

from __future__ import annotations

import functools
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq.cron import CronJob

from django_rediscron.core import (
    DamagedScheduleError,
    InvalidScheduleError,
    NoSuchJobError,
    RedisCronJob,
    RedisCronScheduler,
)
from django_rediscron.core.store.keys import DISABLED, EVENTS, INDEX, LAST_UPDATE
from tests import tasks

UTC = timezone.utc


def make(connection: Redis | None = None, **options: Any) -> RedisCronJob:
    given = {"id": "visits", "queue_name": "metrics", "func": tasks.echo, "connection": connection}
    if not options.get("cron"):
        given["interval"] = 300
    return RedisCronJob(**{**given, **options})


def test_is_an_rq_cron_job_with_the_documented_defaults() -> None:
    job = make()
    assert isinstance(job, CronJob)
    assert job.key == "rq:cron_job:visits"
    assert (job.args, job.kwargs, job.enabled) == ((), {}, True)
    assert job.func is tasks.echo
    assert job.func_name == "tests.tasks.echo"
    assert job.job_options["result_ttl"] == 500


def test_hash_has_the_documented_fields_as_plain_texts_but_for_defaults(
    connection: Redis,
) -> None:
    make(connection, args=("pm25", 1), kwargs={"a": [1]}, job_timeout="10m", meta={"m": 1}).save()
    stored = {k.decode(): v.decode() for k, v in connection.hgetall("rq:cron_job:visits").items()}
    created = stored.pop("created_at")
    assert datetime.strptime(created, "%Y-%m-%dT%H:%M:%S.%fZ")
    assert stored == {
        "id": "visits",
        "func_name": "tests.tasks.echo",
        "queue_name": "metrics",
        "args": '["pm25",1]',
        "kwargs": '{"a":[1]}',
        "interval": "300",
        "job_timeout": "600",
        "meta": '{"m":1}',
        "enabled": "1",
        "next_enqueue_time": created,
    }
    # Due at once, but never scored 0: RQ's own registry prunes that.
    assert connection.zscore(INDEX, "visits") == pytest.approx(
        datetime.strptime(created, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
    )


@pytest.mark.parametrize("id", ["a/b:c", "ü – 日本", 'it\'s "quoted" <b>', "x" * 255, " ", "%2F?#"])
def test_any_printable_id_comes_back(connection: Redis, id: str) -> None:
    make(connection, id=id).save(event="created")
    assert RedisCronJob.fetch(id, connection).id == id


def test_fetch_gives_back_what_was_saved(connection: Redis) -> None:
    saved = make(
        connection,
        cron="*/5 * * * *",
        args=("a", 1, None, 1.5, [1, {"b": True}]),
        kwargs={"job_timeout": 5, "meta": 1, "description": "x"},
        job_timeout=-1,
        result_ttl=0,
        ttl=60,
        failure_ttl=-1,
        meta={"team": "billing"},
        enabled=False,
    )
    saved.save(event="created")
    fetched = RedisCronJob.fetch("visits", connection)
    assert fetched.to_dict() == saved.to_dict()
    assert fetched.args == saved.args
    assert fetched.kwargs == saved.kwargs
    assert fetched.func is tasks.echo
    assert fetched.enabled is False


DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]

REFUSED: dict[str, dict[str, Any]] = {
    "lambda": {"func": lambda: None},
    "nested": {"func": tasks.make_nested()},
    "bound method": {"func": tasks.Reports().bound},
    "inherited class method": {"func": tasks.Annual.of_class},
    "callable object": {"func": tasks.Reports()},
    "partial": {"func": functools.partial(tasks.echo, 1)},
    "no function": {"func": None},
    "neither": {"interval": None},
    "both": {"interval": 5, "cron": "* * * * *"},
    "interval 0": {"interval": 0},
    "interval negative": {"interval": -5},
    "interval fraction": {"interval": 0.5},
    "interval huge": {"interval": 10**15},
    "interval bool": {"interval": True},
    "interval text": {"interval": "often"},
    "cron never": {"cron": "0 0 30 2 *", "interval": None},
    "args text": {"args": "abc"},
    "args tuple inside": {"args": ((1, 2),)},
    "args NaN": {"args": (float("nan"),)},
    "args bytes": {"args": (b"x",)},
    "args datetime": {"args": (datetime(2026, 1, 1),)},
    "kwargs int key": {"kwargs": {"a": {1: 2}}},
    "kwargs Decimal": {"kwargs": {"a": Decimal(1)}},
    "meta list": {"meta": [1]},
    "meta set": {"meta": {"a": {1}}},
    "args too deep": {"args": (DEEP,)},
    "args huge integer": {"args": (1 << 20_000,)},
    "args surrogate": {"args": ("\ud800",)},
    "kwargs surrogate": {"kwargs": {"\ud800": 1}},
    "timeout huge": {"job_timeout": 10**30},
    "ttl huge": {"ttl": 2**32},
    "failure_ttl huge": {"failure_ttl": 10**12},
    "name surrogate": {"name": "\ud800"},
    "timeout 0": {"job_timeout": 0},
    "timeout text": {"job_timeout": "soon"},
    "ttl negative": {"ttl": -1},
    "ttl 0": {"ttl": 0},
    "result_ttl": {"result_ttl": -2},
    "failure_ttl": {"failure_ttl": "x"},
    "enabled": {"enabled": 1},
    "id empty": {"id": ""},
    "id long": {"id": "x" * 256},
    "id control": {"id": "a\nb"},
    "id surrogate": {"id": "\ud800"},
    "id history": {"id": "visits:jobs"},
    "id dot": {"id": "."},
    "id dots": {"id": ".."},
    "queue": {"queue_name": ""},
    "naive time": {"next_enqueue_time": datetime(2026, 1, 1)},
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_what_could_not_run_is_refused_and_nothing_written(
    connection: Redis, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make(connection, **options).save()
    with pytest.raises(ValueError, match=r".+"):
        save_changed(make(connection), options)
    assert connection.keys("*") == []


def save_changed(job: RedisCronJob, attributes: dict[str, Any]) -> None:
    for attribute, value in attributes.items():
        if attribute in job.job_options:
            job.job_options[attribute] = value
        else:
            setattr(job, attribute, value)
    job.save()


@pytest.mark.parametrize(
    "func_name",
    ["no.such.module", "tests.tasks.nothing", "tests.tasks.NOT_A_FUNCTION", "echo", "__main__.f"]
    + ["tests.broken.exits.run", "tests.broken.raises.run"],
)
def test_a_name_that_leads_to_no_function_is_refused(connection: Redis, func_name: str) -> None:
    with pytest.raises(InvalidScheduleError, match=r"function|func_name"):
        make(connection, func=None, func_name=func_name).save()
    assert connection.keys("*") == []


@pytest.mark.parametrize(
    ("func_name", "reason"),
    [
        ("tests.tasks.Reports.nothing", "'tests.tasks.Reports' has no 'nothing'"),
        ("tests.tasks.Reports.no.thing", "'tests.tasks.Reports' has no 'no'"),
        ("tests.tasks.nothing", "module 'tests.tasks' has no 'nothing'"),
    ],
)
def test_a_name_that_leads_nowhere_says_where_it_ends(func_name: str, reason: str) -> None:
    with pytest.raises(InvalidScheduleError, match=reason):
        _ = make(func=None, func_name=func_name).func


def test_the_method_of_an_instance_is_refused() -> None:
    with pytest.raises(InvalidScheduleError, match="must not be the method of an instance"):
        make(func=tasks.Reports().bound)


@pytest.mark.parametrize(
    "func", [tasks.Reports.static, tasks.Reports.of_class, tasks.Reports, len, json.dumps]
)
def test_a_name_that_leads_back_to_the_function_is_accepted(connection: Redis, func: Any) -> None:
    make(connection, func=func).save()
    assert RedisCronJob.fetch("visits", connection).func == func


def test_save_of_a_loaded_job_writes_only_what_was_changed_on_it(connection: Redis) -> None:
    make(connection).save(event="created")
    mine, yours = (RedisCronJob.fetch("visits", connection) for _ in range(2))
    mine.queue_name = "mine"
    yours.kwargs["yours"] = 1
    mine.save()
    yours.save()
    merged = RedisCronJob.fetch("visits", connection)
    assert (merged.queue_name, merged.kwargs) == ("mine", {"yours": 1})
    assert merged.revision == 2
    assert merged.updated_at is not None
    assert merged.created_at is not None
    assert merged.updated_at > merged.created_at


def test_save_does_not_move_an_enqueued_occurrence_back(connection: Redis) -> None:
    make(connection).save(event="created")
    stale = RedisCronJob.fetch("visits", connection)
    runner = RedisCronJob.fetch("visits", connection)
    ran_at = datetime.now(UTC)
    runner.set_enqueue_time(ran_at)
    stale.queue_name = "other"
    stale.save()
    now = RedisCronJob.fetch("visits", connection)
    assert now.queue_name == "other"
    assert now.latest_enqueue_time == ran_at
    assert now.next_enqueue_time == ran_at + timedelta(seconds=300)
    assert connection.zscore(INDEX, "visits") == pytest.approx(now.next_enqueue_time.timestamp())
    assert stale.latest_enqueue_time == ran_at


def test_switching_and_timing_leave_unsaved_changes_unsaved(connection: Redis) -> None:
    make(connection).save(event="created")
    for act in (RedisCronJob.disable, RedisCronJob.enable, record_run):
        job = RedisCronJob.fetch("visits", connection)
        job.kwargs["unsaved"] = act.__name__
        act(job)
        assert "unsaved" not in RedisCronJob.fetch("visits", connection).kwargs
        job.save()
        assert RedisCronJob.fetch("visits", connection).kwargs == {"unsaved": act.__name__}
        job.kwargs.clear()
        job.save()


def record_run(job: RedisCronJob) -> None:
    job.set_enqueue_time(datetime.now(UTC))


def test_switching_in_a_pipeline_times_by_what_is_stored(connection: Redis) -> None:
    make(connection, interval=100).save(event="created")
    job = RedisCronJob.fetch("visits", connection)
    latest = datetime.now(UTC) - timedelta(seconds=30)
    job.set_enqueue_time(latest)
    job.disable()
    job.interval = 7
    pipe = connection.pipeline()
    job.enable(pipeline=pipe)
    pipe.execute()
    stored = RedisCronJob.fetch("visits", connection)
    assert stored.interval == 100
    assert stored.next_enqueue_time == latest + timedelta(seconds=100)


def test_a_changed_schedule_is_timed_from_now(connection: Redis) -> None:
    job = make(connection)
    job.save(event="created")
    job.set_enqueue_time(datetime.now(UTC) - timedelta(seconds=200))
    job.interval = 1000
    before = datetime.now(UTC)
    job.save()
    assert job.next_enqueue_time is not None
    assert before < job.next_enqueue_time - timedelta(seconds=1000) < datetime.now(UTC)
    job.interval, job.cron = None, "0 0 1 1 *"
    job.save()
    assert RedisCronJob.fetch("visits", connection).next_enqueue_time == job.next_enqueue_time
    assert job.next_enqueue_time.astimezone().strftime("%m-%d %H:%M") == "01-01 00:00"


def test_a_stale_object_times_the_schedule_by_what_stands_there(connection: Redis) -> None:
    """Enabling must not use the interval that the object was loaded with."""
    make(connection, interval=60).save(event="created")
    stale = RedisCronJob.fetch("visits", connection)
    other = RedisCronJob.fetch("visits", connection)
    other.interval = 86400
    other.save()
    other.set_enqueue_time(datetime.now(UTC))
    other.disable()
    stale.enable()
    latest = RedisCronJob.fetch("visits", connection)
    assert latest.interval == 86400
    assert latest.next_enqueue_time == other.latest_enqueue_time + timedelta(seconds=86400)


def test_enabled_again_an_interval_stays_on_its_grid(connection: Redis) -> None:
    job = make(connection, interval=100)
    job.save(event="created")
    latest = datetime.now(UTC) - timedelta(seconds=1234)
    job.set_enqueue_time(latest)
    job.disable()
    assert connection.zscore(INDEX, "visits") is None
    assert connection.zscore(DISABLED, "visits") is not None
    job.enable()
    assert job.next_enqueue_time == latest + timedelta(seconds=1300)
    assert connection.zscore(DISABLED, "visits") is None


def test_a_deleted_schedule_does_not_come_back(connection: Redis) -> None:
    job = make(connection)
    job.save(event="created")
    stale = RedisCronJob.fetch("visits", connection)
    job.delete()
    stale.queue_name = "other"
    for attempt in (stale.save, stale.enable, stale.disable, stale.refresh):
        with pytest.raises(NoSuchJobError):
            attempt()
    with pytest.raises(NoSuchJobError):
        stale.set_enqueue_time(datetime.now(UTC))
    stale.delete()
    assert connection.keys("rq:cron_job:*") == []
    assert connection.zcard(INDEX) == connection.zcard(DISABLED) == 0


def test_a_pipeline_does_nothing_until_it_is_executed(connection: Redis) -> None:
    job = make(connection)
    pipe = connection.pipeline()
    job.save(pipeline=pipe, event="created")
    assert connection.keys("*") == []
    pipe.execute()
    job = RedisCronJob.fetch("visits", connection)
    for change, expected in ((job.disable, False), (job.enable, True)):
        change(pipeline=pipe)
        assert RedisCronJob.fetch("visits", connection).enabled is not expected
        pipe.execute()
        assert RedisCronJob.fetch("visits", connection).enabled is expected
    job.delete(pipeline=pipe)
    assert connection.exists(job.key)
    pipe.execute()
    assert not connection.exists(job.key)
    job.queue_name = "other"
    job.save(pipeline=pipe)
    with pytest.raises(ResponseError, match="NOSUCHJOB"):
        pipe.execute()
    assert not connection.exists(job.key)


def test_every_change_is_announced(connection: Redis) -> None:
    with connection.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(EVENTS)
        pubsub.get_message(timeout=5)
        job = make(connection, id='a/"b"')
        job.save(event="created")
        job.queue_name = "other"
        job.save()
        job.disable()
        job.enable()
        job.delete()
        events = []
        while len(events) < 5:
            message = pubsub.get_message(timeout=5)
            assert message is not None
            events.append(json.loads(message["data"]))
    names = ["created", "updated", "disabled", "enabled", "deleted"]
    assert events == [{"event": name, "job_id": 'a/"b"'} for name in names]
    assert float(connection.get(LAST_UPDATE)) == pytest.approx(datetime.now().timestamp(), abs=60)


def test_fields_that_become_defaults_are_left_out(connection: Redis) -> None:
    job = make(connection, args=(1,), kwargs={"a": 1}, ttl=5, meta={"m": 1})
    job.save(event="created")
    job.args, job.kwargs, job.interval, job.cron = (), {}, None, "* * * * *"
    job.job_options.update(ttl=None, meta=None)
    job.save()
    stored = connection.hgetall(job.key)
    assert not {b"args", b"kwargs", b"interval", b"ttl", b"meta"} & set(stored)
    assert stored[b"cron"] == b"* * * * *"
    assert stored[b"updated_at"] > stored[b"created_at"]
    assert RedisCronJob.fetch("visits", connection).to_dict() == job.to_dict()


def test_an_object_saved_by_pipeline_leaves_the_edits_of_others(connection: Redis) -> None:
    pipe = connection.pipeline()
    job = make(connection)
    job.save(pipeline=pipe, event="created")
    pipe.execute()
    job.queue_name = "mine"
    job.save(pipeline=pipe)
    pipe.execute()
    other = RedisCronJob.fetch("visits", connection)
    other.queue_name = "yours"
    other.save()
    job.interval = 5
    job.save()
    assert RedisCronJob.fetch("visits", connection).queue_name == "yours"
    other.delete()
    job.interval = 6
    with pytest.raises(NoSuchJobError):
        job.save()


def test_what_cannot_be_read_is_named_and_healed_by_saving_anew(connection: Redis) -> None:
    make(connection).save(event="created")
    connection.hset("rq:cron_job:visits", "interval", "-5")
    with pytest.raises(DamagedScheduleError, match="got -5"):
        RedisCronJob.fetch("visits", connection)
    make(connection).save()
    assert RedisCronJob.fetch("visits", connection).interval == 300
    connection.delete("rq:cron_job:visits")
    connection.rpush("rq:cron_job:visits", "a list")
    with pytest.raises(DamagedScheduleError, match="does not hold a hash"):
        RedisCronJob.fetch("visits", connection)
    make(connection).save()
    assert RedisCronJob.fetch("visits", connection).interval == 300


def test_reading_imports_no_user_code(connection: Redis) -> None:
    make(connection).save(event="created")
    connection.hset("rq:cron_job:visits", "func_name", "tests.broken.exits.run")
    job = RedisCronJob.fetch("visits", connection)
    job.disable()  # and an operator can still do something about it
    with pytest.raises(InvalidScheduleError, match="exited on import"):
        job.func  # noqa: B018


def test_restore_takes_bytes_or_text_and_fills_in_defaults() -> None:
    fields = {"id": "x", "func_name": "tests.tasks.echo", "queue_name": "q", "interval": "5"}
    for data in (fields, {k.encode(): v.encode() for k, v in fields.items()}):
        job = RedisCronJob.restore(data)
        assert (job.args, job.kwargs, job.enabled, job.revision) == ((), {}, True, 0)
        assert job.job_options["result_ttl"] == 500
        assert job.func is tasks.echo
    assert RedisCronJob.from_dict(job.to_dict()).to_dict() == job.to_dict()


class Key(str):
    """A string that JSON would make a plain one."""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"func": None, "func_name": "nomod.x"}, "no module 'nomod'; check the name"),
        ({"func": None, "func_name": "tests.nomod.x"}, "no module 'tests.nomod'; check the name"),
        ({"func": None, "func_name": "tests.tasks.x"}, "module 'tests.tasks' has no 'x'; check"),
        ({"func": None, "func_name": "tests.broken.lacks.x"}, "module named 'no_such_dependency'"),
        ({"kwargs": {Key("a"): 1}}, "strings as keys, got Key 'a'; pass it as a plain string"),
        ({"kwargs": {"\ud800": 1}}, "proper Unicode as keys"),
        ({"queue_name": "\ud800"}, "queue_name must be proper Unicode"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    connection: Redis, options: dict[str, Any], words: str
) -> None:
    given = {"queue_name": "metrics", "func": tasks.echo, "interval": 60, **options}
    with pytest.raises(InvalidScheduleError, match=words):
        RedisCronJob("visits", connection=connection, **given).save()


def test_damaged_notes_of_the_scheduler_keep_nothing_from_running(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    job = leader.register(tasks.echo, "metrics", "visits", interval=60)
    notes = {"last_error": b"\xff", "last_error_at": b"yesterday \xff"}
    connection.hset(job.key, mapping=notes)
    assert RedisCronJob.fetch("visits", connection).last_error_at is None
    assert len(leader.enqueue_jobs()) == 1
    assert not set(notes) & {name.decode() for name in connection.hkeys(job.key)}


SECRET = "hush-hush"


@pytest.mark.parametrize("field", ["args", "kwargs", "meta"])
@pytest.mark.parametrize("text", [f'["{SECRET}", [1', f'"{SECRET}"', f"{SECRET}"])
def test_broken_arguments_are_quoted_nowhere(
    connection: Redis, leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture,
    field: str, text: str,
) -> None:  # fmt: skip
    make(connection).save()
    connection.hset("rq:cron_job:visits", field, text)
    with pytest.raises(DamagedScheduleError, match=f"field '{field}' is not") as error:
        RedisCronJob.fetch("visits", connection)
    leader.enqueue_jobs()
    leader.get_all_jobs()
    stored = connection.hget("rq:cron_job:visits", "last_error")
    assert stored is not None
    assert SECRET not in f"{error.value} {stored.decode()} {caplog.text}"
    assert f"field '{field}' is not" in caplog.text


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"args": ([{"token": {SECRET}}],)}, r"args\[0\]\[0\]\['token'\].* got set"),
        ({"args": (SECRET + "\ud800",)}, r"args\[0\] must be proper Unicode"),
        ({"kwargs": {"token": SECRET.encode()}}, r"kwargs\['token'\].* got bytes"),
        ({"kwargs": SECRET}, "kwargs must be a dict, got str"),
        ({"meta": [SECRET]}, "meta must be a dict, got list"),
    ],
    ids=str,
)
def test_refused_arguments_are_named_by_their_place(options: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidScheduleError, match=where) as error:
        make(**options)
    assert SECRET not in str(error.value)
