"""Late schedules give an alarm when a scheduler gets to them: one for each that was missed."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import dispatcher, due
from django_rediscron.core.notifying.notification import Entry, Notification
from django_rediscron.core.store.keys import ALARMS, INDEX, LATE, LOCK, TOLD_SUFFIX, job_key
from django_rediscron.core.story.why.wording import tell_time
from django_rediscron.core.timing.cron_times import occurrence_delay, utc_text
from tests import tasks
from tests.clock import Clock, set_clock
from tests.forks import Program
from tests.processes import wait_until

UTC = timezone.utc
MONDAY = datetime(2026, 3, 23, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

Alarm = tuple[str, datetime, float, str]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, MONDAY)


@pytest.fixture(autouse=True)
def receiver(connection: Redis) -> None:
    """Somebody is to be told."""
    connection.hset(f"{ALARMS}{TOLD_SUFFIX}", "somebody", "0-0 0 99999999999")


def register(scheduler: RedisCronScheduler, id: str = "report", **options: Any) -> RedisCronJob:
    timing = {} if "interval" in options else {"cron": "0 * * * *", "timezone": "UTC"}
    return scheduler.register(tasks.echo, "metrics", id=id, **{**timing, **options})


def entries(connection: Redis) -> list[Entry]:
    return [
        Entry(id.decode(), {name.decode(): value.decode() for name, value in fields.items()})
        for id, fields in connection.xrange(ALARMS)
    ]


def alarms(connection: Redis) -> list[Alarm]:
    """Schedule, nominal time, seconds by which it is late, and why it was skipped, if it was."""
    found = []
    for entry in entries(connection):
        fields = entry.fields
        if fields["kind"] == "schedule_late":
            time = datetime.fromisoformat(fields["occurrence"].replace("Z", "+00:00"))
            late = float(fields["late_seconds"])
            found.append((fields["id"], time, late, json.loads(fields.get("reason", '""'))))
    return found


def enqueued(connection: Redis) -> list[bytes]:
    ids: list[bytes] = connection.lrange("rq:queue:metrics", 0, -1)
    return ids


def restart(connection: Redis, name: str) -> RedisCronScheduler:
    """Another scheduler, for the one before it was killed."""
    connection.delete(LOCK)
    scheduler = RedisCronScheduler(connection, name=name, lock_ttl=3600)
    scheduler.register_birth()
    return scheduler


ONE = MONDAY + HOUR


@pytest.mark.parametrize(
    ("options", "reason", "later"),
    [
        ({}, "", [""]),
        ({"interval": 3600, "start_at": ONE}, "", [""]),
        ({"catch_up": "all"}, "", [""]),
        ({"catch_up": "all", "catch_up_limit": 1}, "catch_up", [""]),
        ({"catch_up": "skip"}, "catch_up", ["catch_up"]),
        ({"misfire_grace": 600}, "misfire", [""]),
        ({"misfire_grace": 7200}, "misfire", [""]),
        ({"catch_up": "all", "misfire_grace": 7200}, "misfire", [""]),
        ({"max_runs": 1}, "", []),
    ],
    ids=str,
)
def test_what_was_missed_of_a_schedule_gives_one_alarm(
    connection: Redis,
    clock: Clock,
    leader: RedisCronScheduler,
    options: dict[str, Any],
    reason: str,
    later: list[str],
) -> None:
    register(leader, **options)
    leader.enqueue_jobs()
    clock.time = ONE + 3 * HOUR + 20 * MINUTE
    leader = restart(connection, "second")
    for _ in range(2):
        leader.enqueue_jobs()
    for hour in (5, 6):
        clock.time = MONDAY + hour * HOUR + MINUTE
        leader.enqueue_jobs()
    assert alarms(connection) == [("report", ONE, 12_000.0, reason)]
    clock.time = MONDAY + 7 * HOUR + 2 * MINUTE  # for a cause of its own
    leader.enqueue_jobs()
    assert alarms(connection)[1:] == [
        ("report", MONDAY + 7 * HOUR, 120.0, reason) for reason in later
    ]


@pytest.mark.parametrize("is_remembered", [True, False], ids=["remembered", "read"])
@pytest.mark.parametrize(
    ("notify", "default", "late", "told"),
    [
        (True, 60, 60, False),
        (True, 60, 61, True),
        (True, "5m", 299, False),
        (True, "5m", 301, True),
        ({"failures": 3}, 60, 61, True),
        ({"late_after": 2.5}, 60, 2, False),
        ({"late_after": 2.5}, 60, 3, True),
        ({"late_after": "1h"}, 60, 3599, False),
        ({"late_after": "1h"}, 60, 3601, True),
        (False, 60, 86_000, False),
    ],
)
def test_how_late_is_too_late_says_the_schedule_or_else_the_scheduler(
    connection: Redis,
    clock: Clock,
    notify: Any,
    default: Any,
    late: float,
    told: bool,
    is_remembered: bool,
) -> None:
    leader = RedisCronScheduler(connection, lock_ttl=86_400, late_after=default)
    leader.register_birth()
    register(leader, cron="0 0 * * *", notify=notify)
    if is_remembered:
        clock.time = MONDAY + 24 * HOUR
        assert len(leader.enqueue_jobs()) == 1
    day = MONDAY + (48 if is_remembered else 24) * HOUR
    clock.time = day + timedelta(seconds=late)
    assert len(leader.enqueue_jobs()) == 1
    assert alarms(connection) == ([("report", day, float(late), "")] if told else [])


def test_the_delay_by_jitter_is_not_lateness(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, jitter=1800)
    leader.enqueue_jobs()
    delays = [occurrence_delay(job.id, ONE + hour * HOUR, 1800) for hour in range(2)]
    assert min(delays) > 120
    clock.time = ONE + timedelta(seconds=delays[0] + 50)
    leader.enqueue_jobs()
    assert alarms(connection) == []
    clock.time = ONE + HOUR + timedelta(seconds=delays[1] + 70)
    leader.enqueue_jobs()
    assert alarms(connection) == [("report", ONE + HOUR, 70.0, "")]


def test_a_pass_that_takes_long_makes_schedules_late(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BATCH", 1)
    for id in ("a", "b"):
        register(leader, id)
    leader.enqueue_jobs()
    clock.time = ONE
    for _ in leader._dispatcher.enqueue_due(leader._session.token, 3600):
        clock.advance(90 * SECOND)
    assert alarms(connection) == [("b", ONE, 90.0, "")]


@pytest.mark.parametrize("dies_after", [0, 1, 3, None])
def test_many_batches_and_leaders_tell_it_once(
    connection: Redis,
    clock: Clock,
    leader: RedisCronScheduler,
    monkeypatch: pytest.MonkeyPatch,
    dies_after: int | None,
) -> None:
    monkeypatch.setattr(due, "ROOM", 5)
    register(leader, interval=60, start_at=ONE, catch_up="all")
    clock.time = ONE + 31 * MINUTE + 30 * SECOND
    batches = leader._dispatcher.enqueue_due(leader._session.token, 3600)
    if dies_after is not None:
        for _ in range(dies_after):
            next(batches)
        leader = restart(connection, "second")
        clock.advance(MINUTE)
        batches = leader._dispatcher.enqueue_due(leader._session.token, 3600)
    assert sum(map(len, batches)) == 32 + (dies_after is not None) - 5 * (dies_after or 0)
    late = 1890.0 + 60 * (dies_after == 0)
    assert alarms(connection) == [("report", ONE, late, "")]
    assert 0 < connection.ttl(LATE) <= 86_400


def test_an_edit_of_its_next_time_counts(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    for id in ("postponed", "retimed", "other", "untouched"):
        register(leader, id, cron="0 * * * *")
    leader.enqueue_jobs()
    clock.time = ONE + 2 * MINUTE
    connection.hset(job_key("postponed"), "next_enqueue_time", utc_text(clock.time - SECOND))
    register(leader, "retimed", cron="1 * * * *")
    register(leader, "other", cron="0 * * * *", description="changed while it was late")
    leader.enqueue_jobs()
    assert sorted(alarms(connection)) == [(id, ONE, 120.0, "") for id in ("other", "untouched")]


def test_what_is_changed_between_reading_and_writing_is_told_as_it_is_then(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    for id in ("quiet", "described"):
        register(leader, id)
    clock.time = ONE
    leader.enqueue_jobs()
    clock.time = ONE + HOUR + 2 * MINUTE
    quiet, described = (RedisCronJob.fetch(id, connection) for id in ("quiet", "described"))
    quiet.notify, described.job_options["description"] = False, "changed"
    quiet.save()
    described.save()
    assert len(leader.enqueue_jobs()) == 2
    assert alarms(connection) == [("described", ONE + HOUR, 120.0, "")]


def test_what_cannot_be_enqueued_is_told_when_it_could(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader)
    register(leader, "skipped", misfire_grace=5)
    leader.enqueue_jobs()
    connection.set("rq:queue:metrics", "no list")
    clock.time = ONE + 2 * MINUTE
    assert leader.enqueue_jobs() == []
    assert alarms(connection) == [("skipped", ONE, 120.0, "misfire")]
    connection.delete("rq:queue:metrics")
    clock.advance(MINUTE)
    assert len(leader.enqueue_jobs()) == 1
    assert alarms(connection)[1:] == [("report", ONE, 180.0, "")]


def test_a_run_that_is_skipped_for_overlap_is_late_all_the_same(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, overlap="skip")
    clock.time = ONE
    leader.enqueue_jobs()
    clock.time = ONE + HOUR + 2 * MINUTE
    assert leader.enqueue_jobs() == []
    assert alarms(connection) == [("report", ONE + HOUR, 120.0, "overlap")]


def test_the_text_says_how_late_it_was(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    for id, options in {"a": {}, "b": {"misfire_grace": 60}, "c": {"catch_up": "skip"}}.items():
        register(leader, id, **options)
    clock.time = ONE + 3 * HOUR
    leader.enqueue_jobs()
    told = [Notification.of(entry, None) for entry in entries(connection)]
    at = f"at {tell_time(told[0].at, UTC)}"
    since = "the run due at 2026-03-23 01:00 UTC was"
    assert {each.schedule_id: each.text for each in told} == {
        "a": f"Schedule a: {since} enqueued 3 h late, {at}.",
        "b": f"Schedule b: {since} skipped {at}, 3 h late: that is more than its misfire_grace.",
        "c": f"Schedule c: {since} skipped {at}, 3 h late: what was missed is not caught up.",
    }
    assert [each.facts for each in told if each.schedule_id == "b"] == [
        {"late_seconds": 10_800.0, "reason": "misfire"}
    ]


def test_nothing_is_kept_if_nobody_is_to_be_told(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    connection.delete(f"{ALARMS}{TOLD_SUFFIX}")
    register(leader)
    clock.time = ONE + 2 * MINUTE
    leader.enqueue_jobs()
    assert not connection.exists(ALARMS, LATE)


@pytest.mark.parametrize("key", [ALARMS, LATE, f"{ALARMS}{TOLD_SUFFIX}"])
def test_what_cannot_be_entered_keeps_no_run_back(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, key: str
) -> None:
    connection.delete(key)
    connection.set(key, "of the wrong type")
    register(leader)
    clock.time = ONE + 2 * MINUTE
    assert len(leader.enqueue_jobs()) == 1
    assert len(enqueued(connection)) == 1


TELLING = """
import sys, time
from redis import Redis
from django_rediscron.core import RedisCronScheduler
connection = Redis.from_url({url!r})

def tell(notification):
    connection.rpush({name!r}, f"{{notification.kind}} {{notification.schedule_id}}")
    if {hangs}:
        time.sleep(600)

RedisCronScheduler(connection, name={name!r}, lock_ttl=1, receivers=[tell]).start(standby=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True], ids=["told", "cut off while it tells"])
def test_an_outage_is_told_once_by_whoever_leads_after_it(
    connection: Redis, redis_url: str, hangs: bool
) -> None:
    def miss(id: str, **options: Any) -> None:
        register(RedisCronScheduler(connection), id, interval=10**8, **options)
        time = utc_text(datetime.now(UTC) - 5 * MINUTE)
        connection.hset(job_key(id), "next_enqueue_time", time)
        connection.zadd(INDEX, {id: 1})

    def told(name: str) -> list[str]:
        return [each.decode() for each in connection.lrange(name, 0, -1)]

    miss("first")
    miss("patient", notify={"late_after": "1h"})
    miss("quiet", notify=False)
    with closing(Program("-c", TELLING.format(url=redis_url, name="one", hangs=hangs))) as one:
        wait_until(lambda: told("one") == ["schedule_late first"], timeout=60)
        if not hangs:
            wait_until(lambda: b" 1 " in b" ".join(connection.hvals(f"{ALARMS}{TOLD_SUFFIX}")))
        one.kill()
    miss("second")
    with closing(Program("-c", TELLING.format(url=redis_url, name="two", hangs=False))):
        late = ["schedule_late first"] * hangs + ["schedule_late second"]
        wait_until(lambda: [t for t in told("two") if "leader" not in t] == late, timeout=60)
    assert {each.split()[1] for each in told("one")} == {"first"}
