"""Pauses of everything or of named queues: what is on record, and what runs.

What the leader's scripts protect is seen to fail in `tests/faults/test_pausing.py`.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from django_rediscron import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from django_rediscron.core import Skip
from django_rediscron.core.process import pausing
from django_rediscron.core.store.keys import (
    ALARMS,
    EVENTS,
    INDEX,
    PAUSED,
    PAUSES,
    TOLD_SUFFIX,
    history_key,
    job_key,
)
from django_rediscron.core.store.pauses import (
    Pause,
    pause,
    pause_of,
    read_past_pauses,
    read_pauses,
    resume,
)
from django_rediscron.core.story.skips import read_skips
from django_rediscron.core.timing.cron_times import occurrence_delay
from tests import tasks
from tests.clock import Clock, set_clock
from tests.processes import running_scheduler, wait_until

HOUR = timedelta(hours=1)
NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


# What is on record


def test_it_is_on_record_what_is_paused_since_when_by_whom_why_and_until(
    connection: Redis, clock: Clock
) -> None:
    everything = pause(connection, reason="migration", until=3600, actor="cli:me")
    mails = pause(connection, "mails", missed="catch_up", actor="cli:me")
    assert everything == Pause(None, NOON, "cli:me", "migration", NOON + HOUR)
    assert mails == Pause("mails", NOON, "cli:me", missed="catch_up")
    assert read_pauses(connection) == [everything, mails]
    assert pause_of("mails", [mails]) == mails
    assert pause_of("other", [mails]) is None
    assert pause_of("other", [everything]) == everything
    clock.advance(HOUR)
    assert read_pauses(connection) == [mails]
    assert read_past_pauses(connection) == [everything]


def test_a_pause_is_ended_once(connection: Redis, clock: Clock) -> None:
    begun = pause(connection, "mails", actor="cli:me")
    clock.advance(HOUR)
    ended = resume(connection, "mails", actor="cli:you")
    assert ended is not None
    assert (ended.at, ended.ended, ended.ended_by) == (begun.at, NOON + HOUR, "cli:you")
    assert resume(connection, "mails") is None
    assert resume(connection) is None
    assert read_pauses(connection) == []
    assert read_past_pauses(connection) == [ended]


def test_a_pause_that_is_over_by_itself_cannot_be_ended(connection: Redis, clock: Clock) -> None:
    pause(connection, until=3600)
    clock.advance(HOUR)
    assert resume(connection) is None


def test_what_is_paused_again_is_so_in_the_new_way(connection: Redis, clock: Clock) -> None:
    pause(connection, reason="one", actor="cli:me")
    clock.advance(HOUR)
    second = pause(connection, reason="two", until=60, actor="cli:you")
    assert read_pauses(connection) == [second]
    (first,) = read_past_pauses(connection)
    assert (first.reason, first.ended, first.ended_by) == ("one", NOON + HOUR, "cli:you")
    assert first.replaced


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": NOON - HOUR}, "until must be in the future"),
        ({"until": "soon"}, "until must be an aware datetime or a duration"),
        ({"missed": "run"}, "missed must be 'skip' or 'catch_up', got 'run'"),
        ({"reason": "two\nlines"}, "reason must be one line"),
        ({"queue": ""}, "queue must be the name of a queue, or None for all, got ''"),
        ({"queue": "*"}, "queue must be the name of a queue"),
    ],
)
def test_what_cannot_be_a_pause_is_refused(
    connection: Redis, clock: Clock, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidScheduleError, match=message):
        pause(connection, **options)
    assert not connection.exists(PAUSED)


def test_schedulers_are_told(connection: Redis) -> None:
    with connection.pubsub() as pubsub:
        pubsub.subscribe(EVENTS)
        assert pubsub.get_message(timeout=5)
        pause(connection)
        resume(connection)
        pause(connection, "mails")
        messages = [pubsub.get_message(timeout=5) for _ in range(3)]
    events = [json.loads(each["data"]) for each in messages if each]
    paused = {"event": "paused", "queue": "mails"}
    assert events == [{"event": "paused"}, {"event": "resumed"}, paused]


def test_what_others_wrote_there_is_no_pause(connection: Redis) -> None:
    connection.hset(PAUSED, mapping={"*": "yes", "a": '{"at":"soon"}', b"\xff": "[]"})
    connection.lpush(PAUSES, "no", '{"at":"2026-06-03T12:00:00Z"}')
    assert read_pauses(connection) == []
    assert read_past_pauses(connection) == []
    assert resume(connection) is None
    pause(connection)
    assert [each.queue for each in read_pauses(connection)] == [None]


# What runs


EVERY = 600
"""Seconds between two occurrences of the schedules here."""


def make(connection: Redis, id: str = "a", queue: str = "default", **options: Any) -> RedisCronJob:
    options = {"interval": EVERY, "start_at": NOON, **options}
    job = RedisCronJob(id, queue, tasks.echo, connection=connection, **options)
    job.save()
    return job


def lead(connection: Redis) -> None:
    """A pass of a leader that knows nothing yet."""
    RedisCronScheduler(connection, logging.ERROR, "leader").start(burst=True)


def ran(connection: Redis, id: str = "a") -> list[str]:
    """Which occurrences were enqueued."""
    history = connection.zrange(history_key(id), 0, -1)
    found = [connection.hget(f"rq:job:{job_id.decode()}", "occurrence") for job_id in history]
    return sorted(each.decode()[11:16] for each in found)


def skipped(connection: Redis, id: str = "a") -> list[tuple[str, str, int, str]]:
    records = [each for each in read_skips([id], connection)[id] if isinstance(each, Skip)]
    return [(f"{each.occurrence:%H:%M}", f"{each.until:%H:%M}", each.count, each.reason)
            for each in reversed(records)]  # fmt: skip


def at(text: str) -> datetime:
    return NOON.replace(hour=int(text[:2]), minute=int(text[3:5]), second=int(text[6:8] or 0))


def test_what_comes_due_meanwhile_is_skipped(connection: Redis, clock: Clock) -> None:
    make(connection)
    lead(connection)
    pause(connection, "default", reason="why", actor="cli:me")
    clock.time = at("12:10:01")
    lead(connection)
    clock.time = at("12:30:05")
    lead(connection)
    resume(connection, "default")
    clock.time = at("12:40:00")
    lead(connection)
    assert ran(connection) == ["12:00", "12:40"]
    assert skipped(connection) == [
        ("12:10", "12:10", 1, "paused"),
        ("12:20", "12:30", 2, "paused"),
    ]
    (_, newest) = reversed(read_skips(["a"], connection)["a"])
    assert isinstance(newest, Skip)
    assert (newest.queue, newest.by, newest.text) == ("default", "cli:me", "why")


def test_only_its_queue_is_paused_and_runs_by_hand_are_not(connection: Redis, clock: Clock) -> None:
    make(connection)
    make(connection, "b", "other")
    pause(connection, "default")
    lead(connection)
    assert (ran(connection), ran(connection, "b")) == ([], ["12:00"])
    assert RedisCronJob.fetch("a", connection).enqueue(connection)
    pause(connection)
    clock.time = at("12:10:00")
    lead(connection)
    assert ran(connection, "b") == ["12:00"]
    resume(connection)
    clock.time = at("12:20:00")
    lead(connection)
    assert (ran(connection), ran(connection, "b")) == ([""], ["12:00", "12:20"])


def test_it_ends_by_itself_to_the_second(connection: Redis, clock: Clock) -> None:
    make(connection, interval=1)
    pause(connection, until=at("12:00:03"))
    for second in range(6):
        clock.time = NOON + timedelta(seconds=second)
        lead(connection)
    assert len(ran(connection)) == 3
    latest = RedisCronJob.fetch("a", connection).latest_enqueue_time
    assert latest == at("12:00:05")
    assert [each.count for each in read_skips(["a"], connection)["a"]] == [1, 1, 1]


@pytest.mark.parametrize("until", [at("12:30:00"), None])
@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({}, ["12:00", "12:40"]),
        ({"catch_up": "all"}, ["12:00", "12:30", "12:40"]),
        ({"catch_up": "skip"}, ["12:00", "12:40"]),
        ({"misfire_grace": 900}, ["12:00", "12:40"]),
        ({"misfire_grace": 900, "catch_up": "all"}, ["12:00", "12:30", "12:40"]),
    ],
)
def test_if_nobody_leads_when_it_ends_the_same_is_skipped(
    connection: Redis,
    clock: Clock,
    until: datetime | None,
    options: dict[str, Any],
    runs: list[str],
) -> None:
    make(connection, **options)
    lead(connection)
    clock.time = at("12:05:00")
    pause(connection, until=until)
    clock.time = at("12:30:00")
    resume(connection, actor="cli:me")
    clock.time = at("12:40:00")
    lead(connection)
    assert ran(connection) == runs
    assert ("12:10", "12:20", 2, "paused") in skipped(connection)
    assert not connection.exists(PAUSED)
    (over,) = read_past_pauses(connection)
    assert over.ended == at("12:30:00")
    assert over.ended_by == ("scheduler:leader" if until else "cli:me")


def test_what_was_missed_before_it_runs_when_it_is_over(connection: Redis, clock: Clock) -> None:
    make(connection, catch_up="all")
    make(connection, "b")
    clock.time = at("12:15:00")
    pause(connection)
    clock.time = at("12:35:00")
    resume(connection)
    lead(connection)
    assert ran(connection) == ["12:00", "12:10"]
    assert ran(connection, "b") == ["12:10"]
    for id in ("a", "b"):
        assert skipped(connection, id) == [("12:20", "12:30", 2, "paused")]


def test_what_comes_due_late_by_jitter_counts_by_when_it_came_due(
    connection: Redis, clock: Clock
) -> None:
    job = make(connection, jitter=300)
    delay = occurrence_delay(job.id, NOON, 300)
    clock.time = NOON + timedelta(seconds=delay / 2)
    pause(connection)
    clock.time = NOON + timedelta(seconds=delay + 1)
    resume(connection)
    lead(connection)
    assert skipped(connection) == [("12:00", "12:00", 1, "paused")]
    pause(connection)
    clock.time = at("12:10:00")
    resume(connection)
    clock.time = at("12:16:00")
    lead(connection)
    assert ran(connection) == ["12:10"]


def test_schedules_can_be_held_instead(connection: Redis, clock: Clock) -> None:
    make(connection, catch_up="all")
    make(connection, "b")
    before = connection.hgetall(job_key("a"))
    pause(connection, missed="catch_up")
    for minute in ("12:00", "12:10", "12:25"):
        clock.time = at(f"{minute}:00")
        lead(connection)
    assert connection.hgetall(job_key("a")) == before
    assert connection.zcount(INDEX, "-inf", clock.time.timestamp()) == 0
    resume(connection)
    lead(connection)
    assert ran(connection) == ["12:00", "12:10", "12:20"]
    assert ran(connection, "b") == ["12:20"]
    assert skipped(connection) == []


def test_what_was_held_is_not_told_to_be_late(connection: Redis, clock: Clock) -> None:
    connection.hset(ALARMS + TOLD_SUFFIX, "somebody", "0-0 0 99999999999")
    make(connection)
    pause(connection, missed="catch_up")
    clock.time = at("12:05:00")
    lead(connection)
    clock.time = at("12:08:00")
    resume(connection)
    lead(connection)
    assert ran(connection) == ["12:00"]
    assert connection.xlen(ALARMS) == 0
    clock.time = at("12:19:00")
    lead(connection)
    assert connection.xlen(ALARMS) == 1


def test_what_was_skipped_in_an_earlier_pause_stays_so_in_the_next(
    connection: Redis, clock: Clock
) -> None:
    make(connection, catch_up="all")
    pause(connection)
    clock.time = at("12:05:00")
    resume(connection)
    clock.time = at("12:15:00")
    pause(connection, missed="catch_up")
    clock.time = at("12:25:00")
    lead(connection)
    resume(connection)
    lead(connection)
    assert skipped(connection) == [("12:00", "12:00", 1, "paused")]
    assert ran(connection) == ["12:10", "12:20"]


# The leader settles what is over


def test_a_pause_is_not_forgotten_while_something_is_left_of_it(
    connection: Redis, clock: Clock
) -> None:
    """Such as a schedule in error, which would run when it is mended."""
    make(connection)
    connection.hset(job_key("a"), "func_name", "tests.tasks.missing")
    pause(connection)
    lead(connection)
    clock.advance(timedelta(minutes=5))
    resume(connection)
    lead(connection)
    assert connection.exists(PAUSED)
    connection.hset(job_key("a"), "func_name", "tests.tasks.echo")
    clock.advance(timedelta(minutes=4))
    lead(connection)
    assert (ran(connection), skipped(connection)) == ([], [("12:00", "12:00", 1, "paused")])
    assert not connection.exists(PAUSED)


def test_a_name_of_rqs_own_cron_keeps_no_pause_alive(connection: Redis, clock: Clock) -> None:
    connection.zadd(INDEX, {"rq's": 1})
    connection.zadd(history_key("rq's"), {"job": 1})
    pause(connection, until=60)
    clock.advance(HOUR)
    lead(connection)
    assert not connection.exists(PAUSED)


def test_a_running_scheduler_hears_of_it_and_wakes_up_when_it_ends(
    connection: Redis, redis_url: str
) -> None:
    with running_scheduler(redis_url, "one"):
        pause(connection, until=2, missed="catch_up")
        RedisCronJob("a", "default", tasks.echo, interval=86400, connection=connection).save()
        RedisCronJob("b", "default", tasks.echo, interval=1, connection=connection).save()
        wait_until(lambda: (connection.zscore(INDEX, "a") or 0) > now().timestamp() + 0.1)
        assert ran(connection) == []
        wait_until(lambda: connection.zcard(history_key("b")) >= 2)
        assert connection.zcard(history_key("a")) == 1
    (over,) = read_past_pauses(connection)
    assert over.ended == over.until
    assert over.ended_by == "scheduler:one"


def test_many_that_were_held_are_woken(
    connection: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "BATCH", 3)
    for number in range(10):
        make(connection, f"held {number}")
    pause(connection, missed="catch_up")
    lead(connection)
    later = NOON + timedelta(minutes=2)
    for number in range(10):
        make(connection, f"later {number}", start_at=later)
    resume(connection)
    lead(connection)
    assert all(ran(connection, f"held {number}") == ["12:00"] for number in range(10))
    waiting = connection.zrange(INDEX, 0, 9, withscores=True)
    assert {score for _, score in waiting} == {later.timestamp()}


def test_what_a_user_may_not_do_keeps_no_schedule_from_running(
    connection: Redis, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    connection.set(PAUSED, "of another program")
    make(connection)
    lead(connection)
    assert ran(connection) == ["12:00"]
    assert "Pauses that are over are not settled: WRONGTYPE" in caplog.text
    assert read_pauses(connection) == []
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        pause(connection)


@pytest.mark.parametrize(
    "options", [{"misfire_grace": 60}, {"catch_up": "skip"}, {"misfire_grace": 60, "jitter": 5}]
)
@pytest.mark.parametrize("is_over", [False, True])
def test_what_is_skipped_for_it_says_so_also_if_it_would_be_too_late_to_run(
    connection: Redis, clock: Clock, options: dict[str, Any], is_over: bool
) -> None:
    """A leader that was away finds that nothing may run any more; that was so before."""
    make(connection, **options)
    clock.time = at("12:00:06")
    lead(connection)
    clock.time = at("12:15:00")
    pause(connection)
    clock.time = at("12:30:30")
    if is_over:
        resume(connection)
        clock.time = at("12:55:00")
    else:
        clock.time = at("12:35:00")
    lead(connection)
    assert len(ran(connection)) == 1
    reason = "misfire" if "misfire_grace" in options else "catch_up"
    if is_over:
        assert skipped(connection) == [
            ("12:10", "12:10", 1, reason),
            ("12:20", "12:30", 2, "paused"),
            ("12:40", "12:50", 2, reason),
        ]
    else:
        assert skipped(connection) == [("12:10", "12:30", 3, "paused")]


def test_what_came_due_before_it_is_too_late_for_its_own_reason(
    connection: Redis, clock: Clock
) -> None:
    make(connection, misfire_grace=60)
    lead(connection)
    clock.time = at("12:15:00")
    pause(connection)
    lead(connection)
    assert skipped(connection) == [("12:10", "12:10", 1, "misfire")]


def test_what_is_skipped_for_one_pause_is_so_if_another_one_holds_it(
    connection: Redis, clock: Clock
) -> None:
    make(connection, catch_up="all")
    lead(connection)
    clock.time = at("12:05:00")
    pause(connection, missed="catch_up")
    clock.time = at("12:10:00")
    lead(connection)
    clock.time = at("12:15:00")
    pause(connection, "default")
    clock.time = at("12:25:00")
    resume(connection, "default")
    lead(connection)
    clock.time = at("12:30:00")
    resume(connection)
    lead(connection)
    assert ran(connection) == ["12:00", "12:10", "12:30"]
    assert skipped(connection) == [("12:20", "12:20", 1, "paused")]
    lead(connection)
    assert not connection.exists(PAUSED)


def test_pauses_that_held_and_skipped_do_not_wait_for_one_another(
    connection: Redis, clock: Clock
) -> None:
    make(connection)
    for queue in (None, "default"):
        pause(connection, queue)
        pause(connection, queue, missed="catch_up")
    lead(connection)
    clock.advance(HOUR)
    resume(connection)
    resume(connection, "default")
    lead(connection)
    assert not connection.exists(PAUSED)
