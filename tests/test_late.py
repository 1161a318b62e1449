"""Late runs: what each policy makes of a scheduler that was away, and how a schedule ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import due, protocol
from django_rediscron.core.schedule.missed import settle_due
from django_rediscron.core.schedule.texts import parse_time
from django_rediscron.core.store.keys import DISABLED, ERRORS, INDEX, job_key, skipped_key
from django_rediscron.core.store.scripts import run_script
from django_rediscron.core.story.skips import Failure
from django_rediscron.core.timing.cron_times import occurrence_delay
from tests import tasks
from tests.clock import Clock, set_clock

pytestmark = pytest.mark.usefixtures("clock")

UTC = timezone.utc
MONDAY = datetime(2026, 3, 23, tzinfo=UTC)  # a week in which daylight saving begins in Paris
SUNDAY = MONDAY + timedelta(days=7)
AWAY, BACK = MONDAY + timedelta(hours=34.5), MONDAY + timedelta(hours=75, minutes=20)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, MONDAY)


def register(scheduler: RedisCronScheduler, **options: Any) -> RedisCronJob:
    timing = {} if "interval" in options else {"cron": "0 * * * *", "timezone": "Europe/Paris"}
    return scheduler.register(tasks.echo, "metrics", id="report", **{**timing, **options})


def stored(connection: Redis) -> RedisCronJob:
    return RedisCronJob.fetch("report", connection)


def enqueued(connection: Redis, queue: str = "metrics") -> list[datetime]:
    """The occurrences of the jobs in the queue, in its order."""
    ids = connection.lrange(f"rq:queue:{queue}", 0, -1)
    texts = [connection.hget(b"rq:job:" + id, "occurrence") for id in ids]
    return [parse_time(text.decode()) for text in texts]


def skipped(connection: Redis) -> list[tuple[datetime, datetime, int, str]]:
    """Oldest first."""
    records = stored(connection).get_skips(connection)[::-1]
    return [(skip.occurrence, skip.until, skip.count, skip.reason) for skip in records]


def live_a_week(
    leader: RedisCronScheduler, clock: Clock, restart: Callable[[], RedisCronScheduler]
) -> None:
    """Passes every ten minutes, but for the days on which no scheduler lives."""
    while clock.time < SUNDAY:
        leader.enqueue_jobs()
        clock.advance(10 * MINUTE)
        if AWAY <= clock.time < BACK:
            leader.register_death()
            clock.time = BACK
            leader = restart()


def hours(first: datetime, last: datetime) -> list[datetime]:
    return [first + number * HOUR for number in range(int((last - first) / HOUR) + 1)]


BEFORE = hours(MONDAY + HOUR, MONDAY + 34 * HOUR)
MISSED = hours(MONDAY + 35 * HOUR, MONDAY + 75 * HOUR)
AFTER = hours(MONDAY + 76 * HOUR, SUNDAY - HOUR)


@pytest.mark.parametrize(
    ("options", "ran", "records"),
    [
        ({}, MISSED[-1:], []),
        ({"catch_up": "latest"}, MISSED[-1:], []),
        ({"catch_up": "skip"}, [], [(MISSED[0], MISSED[-1], 41, "catch_up")]),
        ({"catch_up": "all"}, MISSED, []),
        (
            {"catch_up": "all", "catch_up_limit": 5},
            MISSED[-5:],
            [(MISSED[0], MISSED[-6], 36, "catch_up")],
        ),
        ({"misfire_grace": 600}, [], [(MISSED[0], MISSED[-1], 41, "misfire")]),
        (
            {"misfire_grace": 7200},
            MISSED[-1:],
            [(MISSED[0], MISSED[-3], 39, "misfire")],
        ),
        (
            {"catch_up": "all", "misfire_grace": 7200},
            MISSED[-2:],
            [(MISSED[0], MISSED[-3], 39, "misfire")],
        ),
        (
            {"catch_up": "all", "misfire_grace": 36_000, "catch_up_limit": 3},
            MISSED[-3:],
            [(MISSED[0], MISSED[-11], 31, "misfire"), (MISSED[-10], MISSED[-4], 7, "catch_up")],
        ),
        (
            {"catch_up": "skip", "misfire_grace": 7200},
            MISSED[-1:],
            [(MISSED[0], MISSED[-3], 39, "misfire"), (MISSED[-2], MISSED[-2], 1, "catch_up")],
        ),
        ({"interval": 3600, "start_at": MONDAY + HOUR}, MISSED[-1:], []),
        ({"interval": 3600, "start_at": MONDAY + HOUR, "catch_up": "all"}, MISSED, []),
    ],
)
def test_a_week_with_the_scheduler_away(
    connection: Redis,
    clock: Clock,
    leader: RedisCronScheduler,
    options: dict[str, Any],
    ran: list[datetime],
    records: list[tuple[datetime, datetime, int, str]],
) -> None:
    def restart() -> RedisCronScheduler:
        scheduler = RedisCronScheduler(connection, name="second", lock_ttl=3600)
        scheduler.register_birth()
        return scheduler

    register(leader, **options)
    live_a_week(leader, clock, restart)
    assert enqueued(connection) == [*BEFORE, *ran, *AFTER]
    assert skipped(connection) == records
    job = stored(connection)
    assert job.latest_enqueue_time == AFTER[-1]
    assert job.next_enqueue_time == SUNDAY
    assert connection.zscore(INDEX, "report") == SUNDAY.timestamp()


def test_where_several_were_missed_none_of_them_runs_by_skip(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """Though the last of them is less than a minute old."""
    register(leader, interval=60, start_at=MONDAY + MINUTE, catch_up="skip")
    clock.time = MONDAY + HOUR + timedelta(seconds=30)
    assert leader.enqueue_jobs() == []
    assert skipped(connection) == [(MONDAY + MINUTE, MONDAY + HOUR, 60, "catch_up")]
    clock.time = MONDAY + HOUR + MINUTE
    leader.enqueue_jobs()
    assert enqueued(connection) == [MONDAY + HOUR + MINUTE]


def test_delayed_runs_that_were_missed_are_caught_up_in_one_pass(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though places in the index are rounded, and lie in any order.

    Seen to fail without `ROUNDING`: those behind the first few were left for the next pass.
    """
    monkeypatch.setattr(due, "ROOM", 1)
    register(leader, interval=10, start_at=MONDAY + MINUTE, catch_up="all", jitter=600)
    clock.time = MONDAY + HOUR
    assert len(leader.enqueue_jobs()) == 100
    assert leader.enqueue_jobs() == []
    assert connection.zscore(INDEX, "report") > clock.time.timestamp()


def test_many_schedules_catch_up_in_one_pass_each_oldest_first(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """More than fit into one call, among others that missed less."""
    for number in range(12):
        leader.register(
            tasks.echo, f"q{number}", id=f"all {number}", interval=60, catch_up="all",
            start_at=MONDAY + MINUTE,
        )  # fmt: skip
    for number in range(250):
        leader.register(tasks.echo, "plain", id=f"plain {number}", interval=60)
    leader.enqueue_jobs()
    clock.advance(90 * MINUTE)
    assert len(leader.enqueue_jobs()) == 12 * 90 + 250
    for number in range(12):
        expected = [MONDAY + MINUTE * count for count in range(1, 91)]
        assert enqueued(connection, f"q{number}") == expected
    assert leader.enqueue_jobs() == []
    clock.advance(MINUTE)
    assert len(leader.enqueue_jobs()) == 262  # now from memory


def test_a_minutely_schedule_that_was_down_for_a_year_costs_nothing(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    options: dict[str, Any] = {"cron": "* * * * *", "timezone": "Europe/Paris"}
    for policy in ("latest", "skip", "all"):
        leader.register(
            tasks.echo,
            policy,
            id=policy,
            catch_up=policy,
            misfire_grace=86400,
            jitter=20,
            **options,
        )
    clock.advance(366 * DAY)
    begin = process_time()
    leader.enqueue_jobs()
    assert process_time() - begin < 20  # walked one by one it would be half an hour
    assert [connection.llen(f"rq:queue:{name}") for name in ("latest", "all")] == [1, 100]
    (misfire,) = RedisCronJob.fetch("latest", connection).get_skips(connection)
    assert misfire.count == 365 * 1440 - 1  # the last one of those is not late enough
    catch_up, misfire = RedisCronJob.fetch("all", connection).get_skips(connection)
    assert (misfire.reason, catch_up.reason) == ("misfire", "catch_up")
    assert misfire.count + catch_up.count + 100 == 366 * 1440 - 1  # the last one waits


@pytest.mark.parametrize("end_at", [None, MONDAY + 3 * HOUR], ids=["going on", "finished"])
def test_an_error_is_over_where_what_is_late_is_skipped(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, end_at: datetime | None
) -> None:
    job = register(leader, catch_up="skip", end_at=end_at)
    connection.hset(job_key(job.id), "func_name", "tests.tasks.gone")
    clock.advance(HOUR)
    assert leader.enqueue_jobs() == []
    failed = RedisCronJob.fetch(job.id, connection)
    assert failed.state == "error"
    assert connection.zcard(ERRORS) == 1

    connection.hset(job_key(job.id), "func_name", "tests.tasks.echo")
    clock.advance(4 * HOUR + timedelta(minutes=30))
    assert leader.enqueue_jobs() == []

    healed = RedisCronJob.fetch(job.id, connection)
    assert (healed.last_error, healed.last_error_at) == (None, None)
    assert healed.state == ("finished" if end_at else "enabled")
    assert skipped(connection)
    assert connection.zcard(ERRORS) == 0


def test_the_first_failure_is_on_record_once_and_is_no_skip(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """Again after an edit that did not help; not at each attempt, nor by the next leader."""
    job = register(leader, misfire_grace=600)
    connection.hset(job_key(job.id), "func_name", "tests.tasks.gone")
    clock.time = first = MONDAY + HOUR
    leader.enqueue_jobs()
    clock.advance(20 * MINUTE)
    leader.register_death()
    second = RedisCronScheduler(connection, name="second", lock_ttl=3600)
    second.register_birth()
    second.enqueue_jobs()
    clock.advance(MINUTE)
    edited = stored(connection)
    edited.kwargs = {"more": True}
    edited.save()
    second.enqueue_jobs()

    found = failures(connection)
    assert [(each.occurrence, each.at) for each in found] == [
        (MONDAY + HOUR, clock.time),
        (MONDAY + HOUR, first),
    ]
    assert "tests.tasks.gone" in found[0].text
    assert stored(connection).get_skips(connection) == []

    connection.hset(job_key(job.id), "func_name", "tests.tasks.echo")
    clock.advance(20 * MINUTE)
    second.enqueue_jobs()
    assert skipped(connection) == [(MONDAY + HOUR, MONDAY + HOUR, 1, "misfire")]
    assert len(stored(connection).get_skips(connection, 0, 0)) == 1


def test_an_error_counts_even_if_there_can_be_no_record_of_it(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader)
    connection.hset(job_key(job.id), "func_name", "tests.tasks.gone")
    connection.set(skipped_key(job.id), "no list")
    clock.advance(HOUR)
    leader.enqueue_jobs()
    assert stored(connection).state == "error"


def failures(connection: Redis) -> list[Failure]:
    texts = connection.lrange(skipped_key("report"), 0, -1)
    return [found for found in map(Failure.from_text, texts) if found is not None]


def test_punctual_runs_are_not_missed(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, catch_up="skip")
    for lateness in (timedelta(0), timedelta(seconds=59)):
        clock.time = clock.time.replace(minute=0, second=0) + HOUR + lateness
        assert len(leader.enqueue_jobs()) == 1
    clock.time = clock.time.replace(minute=0, second=0) + HOUR + timedelta(seconds=61)
    assert leader.enqueue_jobs() == []
    assert len(skipped(connection)) == 1


def test_catching_up_goes_on_where_a_dead_scheduler_left_it(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler dies after the first of several batches, and its reply is lost, too."""
    monkeypatch.setattr(due, "ROOM", 7)
    register(leader, catch_up="all")
    clock.advance(40 * HOUR)

    class Killed(BaseException):
        pass

    calls = []

    def die_at_the_second(*call: Any) -> Any:
        calls.append(call)
        reply = run_script(*call)
        if len(calls) == 2:
            raise Killed
        return reply

    monkeypatch.setattr(protocol, "run_script", die_at_the_second)
    with pytest.raises(Killed):
        leader.enqueue_jobs()
    monkeypatch.setattr(protocol, "run_script", run_script)
    assert len(enqueued(connection)) == 14
    leader.register_death()
    second = RedisCronScheduler(connection, name="second")
    second.register_birth()
    clock.advance(HOUR)
    assert len(second.enqueue_jobs()) == 27
    assert enqueued(connection) == hours(MONDAY + HOUR, MONDAY + 41 * HOUR)


@pytest.mark.parametrize("change", ["queue_name", "cron", "disable", "delete", "limit"])
def test_an_edit_amid_catching_up_counts_from_then_on(
    connection: Redis,
    clock: Clock,
    leader: RedisCronScheduler,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    monkeypatch.setattr(due, "ROOM", 7)
    register(leader, catch_up="all")
    clock.advance(40 * HOUR)
    calls = []

    def edit_before_the_second(*call: Any) -> Any:
        calls.append(call)
        if len(calls) == 2:
            job = stored(connection)
            if change == "queue_name":
                job.queue_name = "other"
            elif change == "cron":
                job.cron = "30 * * * *"
            elif change == "limit":
                job.catch_up_limit = 3
            if change in ("disable", "delete"):
                getattr(job, change)()
            else:
                job.save()
        return run_script(*call)

    monkeypatch.setattr(protocol, "run_script", edit_before_the_second)
    leader.enqueue_jobs()
    leader.enqueue_jobs()
    first = hours(MONDAY + HOUR, MONDAY + 7 * HOUR)
    rest = hours(MONDAY + 8 * HOUR, MONDAY + 40 * HOUR)
    if change == "queue_name":
        assert (enqueued(connection), enqueued(connection, "other")) == (first, rest)
    elif change == "limit":
        assert enqueued(connection) == [*first, *rest[-3:]]
        assert skipped(connection) == [(rest[0], rest[-4], 30, "catch_up")]
    else:
        assert enqueued(connection) == first
        assert not connection.exists("rq:cron_jobs:skipped:report")
    if change == "cron":
        assert stored(connection).next_enqueue_time == MONDAY + 40.5 * HOUR


def test_a_call_that_is_sent_twice_catches_up_once(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(leader, catch_up="all", max_runs=30, catch_up_limit=25)
    clock.advance(40 * HOUR)

    def lose_reply(*call: Any) -> Any:
        run_script(*call)
        if connection.hexists("rq:cron_job:report", "finished_at"):
            assert connection.zscore(INDEX, "report") is None, "whoever dies now leaves it whole"
        return run_script(*call)

    monkeypatch.setattr(protocol, "run_script", lose_reply)
    assert len(leader.enqueue_jobs()) == 25
    assert enqueued(connection) == hours(MONDAY + 16 * HOUR, MONDAY + 40 * HOUR)
    assert stored(connection).runs == 25
    assert len(skipped(connection)) == 1
    clock.advance(10 * HOUR)
    leader.enqueue_jobs()
    job = stored(connection)
    assert (job.state, job.runs, len(enqueued(connection))) == ("finished", 30, 30)
    assert connection.zscore(INDEX, "report") is None


# Jitter


def test_jitter_delays_each_run_and_leaves_the_grid_alone(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, jitter=1800)
    foreseen = [time.timestamp() for time in job.upcoming(24)]
    ran = []
    for _ in range(25 * 60):
        clock.advance(MINUTE)
        ran += [clock.time] * len(leader.enqueue_jobs())
    assert enqueued(connection)[:24] == hours(MONDAY + HOUR, MONDAY + 24 * HOUR)
    for time, expected in zip(ran, foreseen, strict=False):
        assert timedelta(0) <= time - datetime.fromtimestamp(expected, UTC) <= MINUTE
    job = stored(connection)
    assert job.next_enqueue_time is not None
    delay = occurrence_delay("report", job.next_enqueue_time, 1800)
    place = job.next_enqueue_time.timestamp() + delay
    assert connection.zscore(INDEX, "report") == pytest.approx(place, abs=1e-5)


def test_lateness_counts_from_the_delayed_time(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, jitter=1800, misfire_grace=60, cron="0 3 * * *", timezone="UTC")
    for shown in list(job.upcoming(5)):
        clock.time = shown + timedelta(seconds=59)
        assert len(leader.enqueue_jobs()) == 1
    assert skipped(connection) == []
    (shown,) = stored(connection).upcoming(1)
    clock.time = shown + timedelta(seconds=61)
    assert leader.enqueue_jobs() == []
    assert [reason for *_, reason in skipped(connection)] == ["misfire"]


def test_of_delayed_runs_the_last_one_stands_whose_own_time_has_come(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, jitter=1800)
    own_times = list(job.upcoming(6))
    clock.time = own_times[4] + timedelta(seconds=1)
    leader.enqueue_jobs()
    clock.time = own_times[5] - timedelta(seconds=1)
    assert leader.enqueue_jobs() == []
    clock.time = own_times[5]
    leader.enqueue_jobs()
    assert enqueued(connection) == [MONDAY + 5 * HOUR, MONDAY + 6 * HOUR]


def test_no_record_of_skips_spans_the_one_that_ran(connection: Redis) -> None:
    """If delays are longer than the period, the most punctual one may stand between the others."""
    spanned = between = 0
    for number in range(200):
        job = RedisCronJob(f"a{number}", "metrics", tasks.echo, connection=connection, interval=1,
                           start_at=MONDAY, jitter=3, catch_up="skip")  # fmt: skip
        for step in settle_due(job, MONDAY, MONDAY + timedelta(seconds=7), room=5):
            run = step.run or MONDAY
            spanned += sum(skip.occurrence < run < skip.until for skip in step.skips)
            between += any(skip.until < run for skip in step.skips) and any(
                skip.occurrence > run for skip in step.skips
            )
    assert between > 0
    assert spanned == 0


def test_a_place_in_the_index_that_is_too_early_is_put_right(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """As rq-rediscron leaves it, which does not know of jitter."""
    (own_time,) = register(leader, jitter=1800).upcoming(1)
    connection.zadd(INDEX, {"report": (MONDAY + HOUR).timestamp()})
    clock.time = own_time - timedelta(seconds=1)
    assert clock.time > MONDAY + HOUR
    assert leader.enqueue_jobs() == []
    assert connection.zscore(INDEX, "report") == pytest.approx(own_time.timestamp(), abs=1e-5)
    clock.time = own_time
    assert len(leader.enqueue_jobs()) == 1


# The end


def test_after_the_last_run_it_is_finished_and_costs_nothing(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, max_runs=3)
    for _ in range(10):
        clock.advance(HOUR)
        leader.enqueue_jobs()
    assert len(enqueued(connection)) == 3
    job = stored(connection)
    assert (job.state, job.runs, job.next_enqueue_time) == ("finished", 3, None)
    assert job.finished_at == MONDAY + 3 * HOUR
    assert job.enabled
    assert list(job.upcoming(3)) == []
    assert connection.zscore(INDEX, "report") is None
    assert connection.zscore(DISABLED, "report") is not None
    assert [listed.id for listed in leader.get_all_jobs()] == ["report"]
    leader.register_death()
    second = RedisCronScheduler(connection, name="second")
    second.register_birth()
    second._leading._repairs.repair()
    assert connection.zscore(INDEX, "report") is None
    clock.advance(DAY)
    assert second.enqueue_jobs() == []
    assert connection.zscore(INDEX, "report") is None


def test_an_end_date_finishes_it_and_a_start_date_lets_it_wait(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, start_at=MONDAY + 5 * HOUR, end_at=MONDAY + 8 * HOUR)
    for _ in range(20):
        clock.advance(HOUR)
        leader.enqueue_jobs()
    assert enqueued(connection) == hours(MONDAY + 5 * HOUR, MONDAY + 8 * HOUR)
    assert stored(connection).state == "finished"


def test_an_end_that_was_slept_through_still_has_its_last_run(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, end_at=MONDAY + 3 * HOUR)
    clock.advance(DAY)
    leader.enqueue_jobs()
    assert enqueued(connection) == [MONDAY + 3 * HOUR]
    assert stored(connection).state == "finished"


def finish(connection: Redis, clock: Clock, leader: RedisCronScheduler, **options: Any) -> None:
    register(leader, **options)
    for _ in range(5):
        clock.advance(HOUR)
        leader.enqueue_jobs()
    assert stored(connection).state == "finished"
    connection.delete("rq:queue:metrics")


REVIVALS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"max_runs": 3}, {"max_runs": 5}, 2),
    ({"max_runs": 3}, {"max_runs": None}, 20),
    ({"max_runs": 3}, {"cron": "30 * * * *"}, 3),
    ({"max_runs": 3}, {"timezone": "UTC"}, 3),
    ({"max_runs": 3}, {"end_at": SUNDAY}, 3),
    ({"end_at": MONDAY + 3 * HOUR}, {"end_at": MONDAY + 8 * HOUR}, 3),
    ({"end_at": MONDAY + 3 * HOUR}, {"end_at": None}, 20),
    ({"max_runs": 3}, {"max_runs": 2}, 0),
    ({"max_runs": 3}, {"queue_name": "metrics2"}, 0),
    ({"max_runs": 3}, {"args": (1,)}, 0),
    ({"max_runs": 3}, {"enabled": False}, 0),
    ({"end_at": MONDAY + 3 * HOUR}, {"end_at": MONDAY + 4 * HOUR}, 0),
    ({"end_at": MONDAY + 3 * HOUR}, {"timezone": "UTC"}, 0),
]


@pytest.mark.parametrize(("options", "edit", "runs"), REVIVALS)
def test_an_edit_revives_what_is_finished_where_an_occurrence_is_left(
    connection: Redis,
    clock: Clock,
    leader: RedisCronScheduler,
    options: dict[str, Any],
    edit: dict[str, Any],
    runs: int,
) -> None:
    finish(connection, clock, leader, **options)
    job = stored(connection)
    for name, value in edit.items():
        setattr(job, name, value)
    job.save()
    assert (job.finished_at is None) == bool(runs)
    assert (job.next_enqueue_time is None) == (not runs)
    assert stored(connection).definition() == job.definition()
    if runs:
        assert connection.zscore(DISABLED, "report") is None
        assert connection.zscore(INDEX, "report") == job.next_enqueue_time.timestamp()  # type: ignore[union-attr]
    if not job.enabled:
        job.enable()
        assert stored(connection).state == "finished"
    for _ in range(20):
        clock.advance(HOUR)
        leader.enqueue_jobs()
    assert len(enqueued(connection)) == runs


def test_an_end_that_comes_nearer_finishes_it_at_once(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader)
    job = stored(connection)
    job.end_at = MONDAY + MINUTE
    job.save()
    assert stored(connection).state == "finished"
    assert connection.zscore(INDEX, "report") is None
    job.end_at = None
    job.save()
    assert stored(connection).next_enqueue_time == MONDAY + HOUR


def test_registering_a_finished_schedule_again_does_not_revive_it(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    finish(connection, clock, leader, max_runs=3)
    assert register(leader, max_runs=3).state == "finished"
    clock.advance(DAY)
    assert leader.enqueue_jobs() == []
    assert register(leader, max_runs=4).state == "enabled"


def test_limits_edited_by_hand_are_kept(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """With redis-cli, which tells nobody: what stands in the hash counts when it comes due."""
    register(leader)
    connection.hset("rq:cron_job:report", "end_at", "2026-03-23T00:30:00.000000Z")
    clock.advance(2 * HOUR)
    assert leader.enqueue_jobs() == []
    assert stored(connection).state == "finished"
    connection.delete("rq:cron_job:report")
    register(leader)
    connection.hset("rq:cron_job:report", "start_at", "2026-03-23T08:30:00.000000Z")
    clock.advance(2 * HOUR)
    assert leader.enqueue_jobs() == []
    assert stored(connection).next_enqueue_time == MONDAY + 9 * HOUR


def test_skips_outlive_their_schedule_and_are_kept_in_bounds(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, catch_up="skip")
    for _ in range(120):
        clock.advance(90 * MINUTE)
        leader.enqueue_jobs()
    skips = stored(connection).get_skips(connection)
    assert 50 < len(skips) <= 100
    assert all(new.at > old.at for new, old in pairwise(skips))
    assert connection.ttl("rq:cron_jobs:skipped:report") > 364 * 86400
    assert stored(connection).get_skips(connection, 1, 2) == skips[1:3]
    stored(connection).delete()
    assert connection.exists("rq:cron_jobs:skipped:report")


def test_as_many_skips_as_runs_are_kept(connection: Redis, clock: Clock) -> None:
    leader = RedisCronScheduler(connection, name="leader", lock_ttl=86400, keep_runs=110)
    leader.register_birth()
    register(leader, catch_up="skip")
    for _ in range(240):
        clock.advance(90 * MINUTE)
        leader.enqueue_jobs()
    assert len(stored(connection).get_skips(connection)) == 110
