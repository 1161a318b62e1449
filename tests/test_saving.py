"""Saving where others edit, too: times, pending changes, versions and refusals."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from django_rediscron.core import (
    InvalidScheduleError,
    NoSuchJobError,
    RedisCronJob,
    RedisCronScheduler,
    ScheduleChangedError,
)
from django_rediscron.core.store import define_many, reindex
from django_rediscron.core.store.keys import (
    DISABLED,
    ERRORS,
    EVENTS,
    INDEX,
    INDEXED,
    LAST_UPDATE,
    RECEIPT_PREFIX,
    job_key,
)
from django_rediscron.core.timing.cron_times import next_cron_time
from tests import tasks
from tests.clock import Clock, set_clock

NEW_YEAR = "0 0 1 1 *"


def make(connection: Redis, id: str = "visits", **options: Any) -> RedisCronJob:
    options.setdefault("interval", 3600 if "cron" not in options else None)
    return RedisCronJob(id, "metrics", tasks.echo, connection=connection, **options)


def load(connection: Redis) -> RedisCronJob:
    return RedisCronJob.fetch("visits", connection)


def run_once(connection: Redis) -> None:
    connection.delete("rq:cron_jobs:lock")
    RedisCronScheduler(connection, logging.ERROR).start(burst=True)


# In a pipeline


def test_a_pipelined_enable_is_timed_by_the_expression_that_stands_there(
    connection: Redis,
) -> None:
    """Its writer knew another one, and what it computed is no time of the schedule."""
    make(connection, interval=60, latest_enqueue_time=now()).save()
    load(connection).disable()
    early, late = load(connection), load(connection)
    pipe = connection.pipeline()
    late.enable(pipeline=pipe)
    early.interval, early.cron = None, NEW_YEAR
    early.save()
    pipe.execute()
    assert load(connection).next_enqueue_time == next_cron_time(NEW_YEAR, now())
    assert not late.queued or load(connection).enabled
    run_once(connection)
    assert connection.llen("rq:queue:metrics") == 0


@pytest.mark.parametrize("timing", [{"interval": 60}, {"cron": "* * * * *"}])
def test_where_no_writer_knows_the_next_time_the_scheduler_computes_it(
    connection: Redis, timing: dict[str, Any]
) -> None:
    """What fell into the time in which it was disabled is neither skipped to nor made up for."""
    moment = now()
    make(connection, interval=7200, latest_enqueue_time=moment - timedelta(days=3)).save()
    load(connection).disable()
    late = load(connection)
    pipe = connection.pipeline()
    late.enable(pipeline=pipe)
    fields = {"interval": "", "cron": "", **{name: str(value) for name, value in timing.items()}}
    past = (moment - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    connection.hset(job_key("visits"), mapping={**fields, "next_enqueue_time": past})
    pipe.execute()
    assert load(connection).next_enqueue_time is None
    assert connection.zscore(INDEX, "visits") <= now().timestamp()
    run_once(connection)
    assert connection.llen("rq:queue:metrics") == 0
    job = load(connection)
    if "cron" in timing:
        assert job.next_enqueue_time == next_cron_time("* * * * *", job.updated_at)
    else:
        assert (job.next_enqueue_time - job.latest_enqueue_time) % timedelta(
            seconds=60
        ) == timedelta()
        assert timedelta() < job.next_enqueue_time - job.updated_at <= timedelta(seconds=60)
    assert connection.zscore(INDEX, "visits") == pytest.approx(job.next_enqueue_time.timestamp())


def test_a_pipelined_change_does_not_run_an_occurrence_again(connection: Redis) -> None:
    """It was queued before the schedule ran, and executed after."""
    noon = now().replace(microsecond=0) - timedelta(seconds=5)
    make(connection, interval=86400, next_enqueue_time=noon).save()
    late = load(connection)
    late.cron, late.interval = f"{noon.astimezone():%M %H} * * *", None
    pipe = connection.pipeline()
    late.save(pipeline=pipe)
    run_once(connection)
    pipe.execute()
    run_once(connection)
    assert connection.llen("rq:queue:metrics") == 1
    assert load(connection).next_enqueue_time > noon


CHANGES: dict[str, tuple[Callable[[RedisCronJob, Any], object], str, str]] = {
    "save": (lambda job, pipe: job.save(pipeline=pipe), "queue_name", "edited"),
    "disable": (lambda job, pipe: job.disable(pipeline=pipe), "enabled", "0"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_queued_and_not_executed_is_still_to_be_written(
    connection: Redis, name: str
) -> None:
    change, field, value = CHANGES[name]
    make(connection).save()
    job = load(connection)
    job.queue_name = "edited"
    change(job, connection.pipeline())
    job.save()
    assert connection.hget(job.key, field) == value.encode()


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_executed_is_not_written_again_over_the_edits_of_others(
    connection: Redis, name: str
) -> None:
    change, field, value = CHANGES[name]
    make(connection).save()
    job, other = load(connection), load(connection)
    job.queue_name = "edited"
    pipe = connection.pipeline()
    change(job, pipe)
    pipe.execute()
    assert connection.hget(job.key, field) == value.encode()
    other.queue_name = "of others"
    other.save()
    other.disable()
    other.enable()
    if name == "disable":
        job.queue_name = "metrics"  # as it was loaded
    job.args = (1,)
    job.save()
    assert (job.args, job.enabled) == ((1,), True)
    stored = load(connection)
    assert (stored.queue_name, stored.args, stored.enabled) == ("of others", (1,), True)


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize("receipt", [b"\xff\xfe", b"{bad", b"[]", b"5", b'["ok", "\xff", 1]'])
def test_a_receipt_that_is_none_says_nothing(
    connection: Redis, redis_url: str, decodes: bool, receipt: bytes
) -> None:
    client = Redis.from_url(redis_url, decode_responses=decodes)
    make(client).save()
    job = RedisCronJob.fetch("visits", client)
    job.queue_name = "edited"
    with client.pipeline() as pipe:
        job.save(pipeline=pipe)
        pipe.execute()
    (key,) = connection.keys(f"{RECEIPT_PREFIX}*")
    connection.set(key, receipt)
    job.args = (1,)
    job.save()
    stored = load(connection)
    assert (stored.queue_name, stored.args) == ("edited", (1,))
    client.close()


@pytest.mark.parametrize("field", ["created_at", "updated_at", "name", "latest_enqueue_time", "id"])
def test_what_is_no_text_is_no_hindrance_to_a_save(connection: Redis, field: str) -> None:
    make(connection).save()
    job = load(connection)
    connection.hset(job.key, mapping={field: b"\xff", "jitter": "nan"})
    job.queue_name = "edited"
    job.save()
    assert connection.hget(job.key, "queue_name") == b"edited"


def test_what_is_changed_between_queueing_and_saving_is_saved(connection: Redis) -> None:
    job = make(connection)
    pipe = connection.pipeline()
    job.save(pipeline=pipe)
    job.enabled = False
    job.queue_name = "later"
    job.next_enqueue_time = tomorrow = now() + timedelta(days=1)
    pipe.execute()
    assert load(connection).enabled
    job.save()
    stored = load(connection)
    assert (stored.enabled, stored.queue_name) == (False, "later")
    assert stored.next_enqueue_time == tomorrow


def test_a_schedule_created_in_a_pipeline_and_deleted_stays_dead(connection: Redis) -> None:
    job = make(connection)
    pipe = connection.pipeline()
    job.save(pipeline=pipe)
    pipe.execute()
    load(connection).delete()
    with pytest.raises(NoSuchJobError, match="nothing was saved of 'visits'"):
        job.save()
    with pytest.raises(NoSuchJobError):
        job.enable()
    assert not connection.exists(job.key)


def test_a_schedule_whose_creation_was_not_executed_is_created_by_the_next_save(
    connection: Redis,
) -> None:
    job = make(connection, args=(1,))
    job.save(pipeline=connection.pipeline())
    job.save()
    assert load(connection).args == (1,)
    assert connection.hget(job.key, "revision") is None


def test_a_pipeline_that_is_sent_again_writes_once(connection: Redis) -> None:
    """As redis-py does where the reply was lost: somebody may have edited in between."""
    make(connection).save()
    job, other = load(connection), load(connection)
    job.queue_name = "edited"
    pipe = connection.pipeline()
    job.save(pipeline=pipe)
    commands, scripts = list(pipe.command_stack), set(pipe.scripts)
    pipe.execute()
    other.queue_name = "of others"
    other.save()
    pipe.command_stack, pipe.scripts = commands, scripts
    pipe.execute()
    assert load(connection).queue_name == "of others"


# Versions


def test_a_version_is_replaced_only_by_who_has_seen_it(connection: Redis) -> None:
    make(connection).save()
    early, late = load(connection), load(connection)
    assert early.version == late.version != ""
    early.queue_name = "early"
    early.save(if_version=early.version)
    before = connection.hgetall(early.key)
    late.queue_name = "late"
    with pytest.raises(ScheduleChangedError, match="nothing was saved of 'visits'"):
        late.save(if_version=late.version)
    assert connection.hgetall(early.key) == before
    pipe = connection.pipeline()
    late.save(pipeline=pipe, if_version=late.version)
    with pytest.raises(ResponseError, match="SCHEDULECHANGED"):
        pipe.execute()
    assert connection.hgetall(early.key) == before
    early.args = (1,)
    early.save(if_version=early.version)
    assert early.version == load(connection).version
    late.save(if_version=load(connection).version)
    assert load(connection).queue_name == "late"


def test_a_run_is_no_new_version_and_every_edit_is_one(connection: Redis) -> None:
    job = make(connection)
    assert job.version == ""
    job.save()
    seen = {job.version, load(connection).version}
    run_once(connection)
    assert connection.llen("rq:queue:metrics") == 1
    assert seen == {load(connection).version}
    for change in (RedisCronJob.disable, RedisCronJob.enable, RedisCronJob.save):
        change(load(connection))
        seen.add(load(connection).version)
    define_many([make(connection)], connection)
    seen.add(load(connection).version)
    load(connection).delete()
    make(connection).save()
    seen.add(load(connection).version)
    connection.hset(job.key, "updated_at", "2026-06-03T05:40:00.000000Z")  # as rq-rediscron does
    seen.add(load(connection).version)
    assert len(seen) == 7


def test_the_empty_version_creates_and_replaces_nothing(connection: Redis) -> None:
    make(connection, args=(1,)).save(if_version="")
    with pytest.raises(ScheduleChangedError):
        make(connection, args=(2,)).save(if_version="")
    assert load(connection).args == (1,)
    loaded = load(connection)
    loaded.delete()
    with pytest.raises(NoSuchJobError):
        loaded.save(if_version=loaded.version)
    with pytest.raises(ScheduleChangedError):
        make(connection).save(if_version=loaded.version)
    assert not connection.exists(loaded.key)


# Refusals


@pytest.mark.parametrize("key", [INDEX, DISABLED, ERRORS, LAST_UPDATE, INDEXED])
def test_a_key_of_the_wrong_type_is_named_before_anything_is_written(
    connection: Redis, key: str
) -> None:
    make(connection, "there").save()
    stored = connection.hgetall(job_key("there"))
    connection.delete(key)
    connection.rpush(key, "a list")
    there = RedisCronJob.fetch("there", connection)
    there.queue_name = "edited"
    for change in (make(connection).save, there.save, there.disable, there.delete):
        with pytest.raises(ResponseError, match=f"{key} must be a .* is a list"):
            change()
    assert connection.hgetall(job_key("there")) == stored
    assert not connection.exists(job_key("visits"))


def test_a_next_time_in_the_year_9999_is_refused_and_where_it_stands_computed_anew(
    connection: Redis,
) -> None:
    never = datetime(9999, 12, 31, tzinfo=timezone.utc)
    with pytest.raises(InvalidScheduleError, match="next_enqueue_time"):
        make(connection, next_enqueue_time=never).save()
    latest = now() - timedelta(seconds=30)
    make(connection, interval=60, latest_enqueue_time=latest).save()
    text = "9999-12-31T00:00:00.000000Z"
    connection.hset(job_key("visits"), "next_enqueue_time", text)
    connection.zadd(INDEX, {"visits": never.timestamp()})
    reindex(connection)
    run_once(connection)
    due = load(connection).next_enqueue_time
    assert due == latest + timedelta(seconds=60)
    assert connection.zscore(INDEX, "visits") == pytest.approx(due.timestamp())
    connection.hset(job_key("visits"), "next_enqueue_time", text)
    load(connection).save()
    assert load(connection).next_enqueue_time - now() < timedelta(seconds=61)


def switch_off_and_on(connection: Redis, clock: Clock, moment: datetime) -> None:
    load(connection).disable()
    clock.time = moment
    load(connection).enable()


def switch_off_and_on_by_one_who_knows_no_times(
    connection: Redis, clock: Clock, moment: datetime
) -> None:
    load(connection).disable()
    clock.time = moment
    make(connection, interval=1800).save()


def switch_on_in_a_pipeline(connection: Redis, clock: Clock, moment: datetime) -> None:
    load(connection).disable()
    clock.time = moment
    pipe = connection.pipeline()
    load(connection).enable(pipeline=pipe)
    pipe.execute()


def set_the_clock_back(connection: Redis, clock: Clock, moment: datetime) -> None:
    clock.time = moment - timedelta(days=1)
    RedisCronScheduler(connection).start(burst=True)
    clock.time = moment
    RedisCronScheduler(connection).start(burst=True)


@pytest.mark.parametrize(
    "change",
    [
        switch_off_and_on,
        switch_off_and_on_by_one_who_knows_no_times,
        switch_on_in_a_pipeline,
        set_the_clock_back,
    ],
)
def test_an_interval_goes_on_in_the_rhythm_of_its_next_time(
    connection: Redis,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Redis, Clock, datetime], None],
) -> None:
    """An edit begins a new rhythm; what is done later to the schedule keeps that."""
    ran = datetime(2026, 5, 6, 5, 3, 59, tzinfo=timezone.utc)
    clock = set_clock(monkeypatch, ran)
    make(connection, interval=600).save()
    run_once(connection)
    clock.advance(timedelta(minutes=10))
    job = load(connection)
    job.interval = 1800
    job.save()
    assert job.next_enqueue_time == ran + timedelta(minutes=40)
    assert job.latest_enqueue_time == ran
    change(connection, clock, datetime(2026, 5, 6, 9, 14, tzinfo=timezone.utc))
    due = load(connection).next_enqueue_time
    assert due == datetime(2026, 5, 6, 9, 43, 59, tzinfo=timezone.utc)
    assert load(connection).enabled


def test_a_change_by_rq_rediscron_elsewhere_leaves_the_rhythm_alone(connection: Redis) -> None:
    moment = now()
    times = {"latest_enqueue_time": moment - timedelta(seconds=500)}
    times["next_enqueue_time"] = moment + timedelta(seconds=700)
    make(connection, interval=1000, **times).save()
    connection.set(LAST_UPDATE, moment.timestamp())  # as it announces what it did
    run_once(connection)
    assert load(connection).next_enqueue_time == times["next_enqueue_time"]


# Many at once


def test_many_are_registered_as_one_by_one(connection: Redis) -> None:
    """New ones, known ones, a deleted one, twice the same, damage, and options."""
    options: dict[str, dict[str, Any]] = {
        "interval": {"interval": 5},
        "cron": {"cron": NEW_YEAR},
        "off": {"enabled": False},
        "arguments": {"args": (1, "é"), "kwargs": {"a": [None]}, "meta": {"m": 1}},
        "numbers": {"job_timeout": "10m", "result_ttl": -1, "ttl": 5, "failure_ttl": 0},
        "label": {"name": "a label"},
        "description": {"description": "What it is for"},
        "moved": {"next_enqueue_time": now() + timedelta(days=1)},
        "known": {},
        'quoted "/\u2028': {},
        "list": {},
    }
    written: list[dict[str, Any]] = []
    for together in (True, False):
        connection.flushdb()
        make(connection, "known", interval=7).save()
        RedisCronJob.fetch("known", connection).disable()
        connection.rpush(job_key("list"), "no hash")
        connection.zadd(DISABLED, {"interval": 1})  # stale, as after a program that forgets it
        connection.zadd(ERRORS, {"interval": 1})
        jobs = [make(connection, id, **given) for id, given in options.items()]
        for job in jobs:
            job.enabled_given = job.id == "off"
        with connection.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe(EVENTS)
            pubsub.get_message(timeout=5)
            for group in [jobs] if together else [[job] for job in jobs]:
                define_many(group, connection)
            events = [pubsub.get_message(timeout=5)["data"] for _ in jobs]
        kept = {id: connection.hgetall(job_key(id)) for id in options}
        for job in jobs:
            assert job.to_dict() == RedisCronJob.fetch(job.id, connection).to_dict()
            assert job.version == RedisCronJob.fetch(job.id, connection).version
        for fields in kept.values():
            for name in (b"created_at", b"updated_at", b"next_enqueue_time", b"disabled_at"):
                fields.pop(name, None)
        members = [sorted(connection.zrange(key, 0, -1)) for key in (INDEX, DISABLED, ERRORS)]
        told = sorted(map(json.loads, events), key=str)
        written.append({"members": members, "events": told, **kept})
        assert connection.get(LAST_UPDATE) == connection.get(INDEXED)
        for id, score in connection.zrange(INDEX, 0, -1, withscores=True):
            due = RedisCronJob.fetch(id.decode(), connection).next_enqueue_time
            assert score == pytest.approx(due.timestamp(), abs=1e-5)
    assert written[0] == written[1]


def test_of_two_with_one_id_the_later_wins(connection: Redis) -> None:
    define_many([make(connection, args=(1,)), make(connection, "other")], connection)
    define_many([make(connection, "a", args=(n,)) for n in range(3)], connection)
    assert RedisCronJob.fetch("a", connection).args == (2,)


def test_of_many_nothing_is_written_where_one_is_refused(connection: Redis) -> None:
    jobs = [make(connection, "a"), make(connection, "b")]
    jobs[1].func_name = "tests.tasks.nothing"
    with pytest.raises(InvalidScheduleError):
        define_many(jobs, connection)
    assert connection.keys("*") == []
