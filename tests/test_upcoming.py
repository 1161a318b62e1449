"""What a schedule says beforehand: its next times, and in words."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from time import thread_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from django_rediscron.core import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import INDEX
from django_rediscron.core.store.scripts import FOLDER
from django_rediscron.core.timing.cron_times import occurrence_delay, utc_text
from tests import tasks
from tests.clock import Clock, set_clock

UTC = timezone.utc
PARIS = ZoneInfo("Europe/Paris")
HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 23, tzinfo=UTC)


def make(**options: Any) -> RedisCronJob:
    return RedisCronJob("report", "metrics", func=tasks.echo, **options)


def test_times_are_in_the_zone_of_the_schedule_and_follow_daylight_saving() -> None:
    job = make(cron="30 2 * * *", timezone="Europe/Paris")
    times = list(job.upcoming(3, after=datetime(2026, 3, 28, tzinfo=UTC)))
    assert [time.isoformat() for time in times] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",  # the wall clock skips 02:30
        "2026-03-30T02:30:00+02:00",
    ]
    assert all(time.tzinfo == PARIS for time in times)
    job = make(cron="*/30 2 * * *", timezone=PARIS)
    times = list(job.upcoming(5, after=datetime(2026, 10, 24, 12, tzinfo=UTC)))
    assert [time.strftime("%d %H:%M %z") for time in times] == [
        "25 02:00 +0200",
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
        "26 02:00 +0100",
    ]


def test_an_interval_counts_from_its_next_time_or_from_its_start(connection: Redis) -> None:
    job = make(interval=3600, connection=connection)
    job.save(event="created")
    assert job.next_enqueue_time is not None
    due = job.next_enqueue_time
    assert list(job.upcoming(3)) == [due, due + HOUR, due + 2 * HOUR]
    after = due + 10 * HOUR + timedelta(minutes=1)
    assert list(job.upcoming(2, after=after)) == [due + 11 * HOUR, due + 12 * HOUR]
    start = datetime(2126, 1, 1, 9, tzinfo=UTC)
    anchored = make(interval=3600, start_at=start)
    assert list(anchored.upcoming(2)) == [start, start + HOUR]
    past = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
    for time in make(interval=3600, start_at=past).upcoming(3):
        assert (time - past) % HOUR == timedelta(0)
        assert time >= datetime.now(UTC)


def test_it_ends_with_the_schedule() -> None:
    start, end = datetime(2126, 1, 1, tzinfo=UTC), datetime(2126, 1, 1, 5, tzinfo=UTC)
    bounded = make(cron="0 * * * *", timezone="UTC", start_at=start, end_at=end)
    assert list(bounded.upcoming(100)) == [start + number * HOUR for number in range(6)]
    limited = make(cron="0 * * * *", max_runs=3)
    limited.runs = 1
    assert len(list(limited.upcoming(100))) == 2
    over = make(interval=60, end_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert list(over.upcoming(5)) == []
    assert list(make(interval=60, enabled=False).upcoming(5)) == []
    assert list(make(interval=60).upcoming(0)) == []


def test_one_that_is_overdue_begins_with_the_run_that_stands_for_all() -> None:
    now = datetime.now(UTC)
    job = make(interval=60, next_enqueue_time=now - timedelta(hours=2, seconds=7))
    first, second = job.upcoming(2)
    assert timedelta(0) <= now - first < timedelta(seconds=61)
    assert second - first == timedelta(seconds=60)


def test_jitter_delays_each_occurrence_alike_everywhere(connection: Redis) -> None:
    options = {"cron": "0 * * * *", "timezone": "UTC"}
    after = datetime(2026, 5, 1, 0, 30, tzinfo=UTC)
    nominal = list(make(**options).upcoming(50, after=after))
    jittered = list(make(**options, jitter=600).upcoming(50, after=after))
    delays = [(late - time).total_seconds() for late, time in zip(jittered, nominal, strict=True)]
    assert all(0 <= delay < 600 for delay in delays)
    assert len(set(delays)) == 50
    assert max(delays) - min(delays) > 300
    script = (
        "from datetime import datetime, timezone\n"
        "from django_rediscron.core.timing.cron_times import occurrence_delay\n"
        "print(occurrence_delay('report', datetime(2026, 5, 1, 1, tzinfo=timezone.utc), 600))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(told.stdout) == occurrence_delay("report", nominal[0], 600)
    assert nominal[0] + timedelta(seconds=float(told.stdout)) == jittered[0]
    for id, jitter in (("report", 600), ("größe/ñ:\"'", 0.5), ("x", 0)):
        lua = (FOLDER / "includes" / "jitter.lua").read_text()
        lua += "return string.format('%.9f', jitter_delay(ARGV[1], ARGV[2], ARGV[3]))"
        found = connection.eval(lua, 0, id, utc_text(nominal[0]), repr(jitter))
        assert float(found) == pytest.approx(occurrence_delay(id, nominal[0], jitter), abs=1e-6)


def test_a_save_places_the_schedule_by_its_delayed_time(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    job = scheduler.register(tasks.echo, "metrics", id="a", cron="0 0 1 1 *", jitter=3600)
    assert job.next_enqueue_time is not None
    place = connection.zscore("rq:cron_jobs", "a")
    delay = occurrence_delay("a", job.next_enqueue_time, 3600)
    assert place == pytest.approx(job.next_enqueue_time.timestamp() + delay, abs=1e-5)
    assert [time.timestamp() for time in job.upcoming(1)] == [pytest.approx(place, abs=1e-5)]
    job.jitter = 0
    job.save()
    assert connection.zscore("rq:cron_jobs", "a") == job.next_enqueue_time.timestamp()


def test_bad_questions_are_refused() -> None:
    job = make(interval=60)
    with pytest.raises(InvalidScheduleError, match="after must be an aware datetime"):
        job.upcoming(1, after=datetime(2026, 1, 1))
    for number in (-1, 1.5, True, None):
        with pytest.raises(ValueError, match="number must be a whole number"):
            job.upcoming(number)  # type: ignore[arg-type]


def test_the_grid_never_moves_with_the_jitter() -> None:
    job = make(cron="*/5 * * * *", timezone="UTC", jitter=200)
    times = list(job.upcoming(200))
    assert all(a < b for a, b in pairwise(times))
    assert len({time.timestamp() // 300 for time in times}) == 200


def test_a_run_that_is_due_and_delayed_past_a_moment_is_to_come_then() -> None:
    job = make(interval=3600, jitter=600, start_at=datetime(2026, 1, 1, tzinfo=UTC))
    hour = datetime(2126, 5, 1, 23, tzinfo=UTC)
    delay = timedelta(seconds=occurrence_delay("report", hour, 600))
    assert delay > timedelta(seconds=10)
    just_before = hour + delay - timedelta(seconds=3)
    assert next(job.upcoming(1, after=just_before)) == hour + delay
    assert next(job.upcoming(1, after=hour + delay)) > hour + HOUR


def test_runs_before_a_moment_count_for_the_limit(connection: Redis) -> None:
    job = make(interval=60, max_runs=10, connection=connection)
    job.save(event="created")
    assert job.next_enqueue_time is not None
    after = job.next_enqueue_time + timedelta(seconds=7 * 60 + 1)
    assert len(list(job.upcoming(100))) == 10
    assert len(list(job.upcoming(100, after=after))) == 2
    assert list(job.upcoming(100, after=after + HOUR)) == []


FAR = datetime(8999, 6, 1, tzinfo=UTC)
LONGEST = 2**31 - 1


@pytest.mark.parametrize(
    ("options", "after"),
    [
        ({"cron": "*/5 * * * *", "timezone": "Europe/Berlin", "max_runs": LONGEST}, FAR),
        ({"cron": "*/5 * * * *", "jitter": 600, "max_runs": LONGEST}, FAR),
        ({"interval": 1, "jitter": LONGEST}, None),
        ({"interval": 1, "jitter": LONGEST, "misfire_grace": 1}, datetime(2100, 1, 1, tzinfo=UTC)),
        ({"interval": 2, "jitter": LONGEST}, datetime(1970, 1, 3, tzinfo=UTC)),
        ({"cron": "* * * * * *", "jitter": LONGEST, "catch_up": "skip"}, MONDAY),
    ],
)
def test_no_options_take_long(options: dict[str, Any], after: datetime | None) -> None:
    job = make(**options, next_enqueue_time=datetime(2026, 1, 1, tzinfo=UTC))
    begin = thread_time()
    list(job.upcoming(10, after=after))
    assert thread_time() - begin < 2  # some 0.1 s; without bounds, from 10 s to hours


def test_runs_before_a_far_moment_count_for_the_limit() -> None:
    begin, after = datetime(2026, 1, 1, tzinfo=UTC), datetime(6026, 1, 1, tzinfo=UTC)
    days = (after - begin).days
    job = make(cron="0 3 * * *", timezone="UTC", next_enqueue_time=begin + 3 * HOUR)
    job.start_at = begin
    job.max_runs = days + 2
    passed = (datetime.now(UTC) - begin).days  # of what is overdue one runs, the latest
    left = list(job.upcoming(10**6, after=after))
    assert left[:1] == [after + 3 * HOUR]
    assert len(left) in (passed + 2, passed + 1)


def test_a_moment_before_the_next_time_says_no_more_than_that(connection: Redis) -> None:
    """Its rhythm was moved: what lies before that is not to come."""
    moved = datetime.now(UTC) + timedelta(hours=5)
    job = make(interval=60, next_enqueue_time=moved)
    assert list(job.upcoming(1, after=datetime.now(UTC))) == [moved]


PASSES = 20
POLICIES = st.fixed_dictionaries(
    {
        "jitter": st.sampled_from([0, 7, 59, 61, 200, 1000]) | st.integers(0, 2000),
        "catch_up": st.sampled_from(["latest", "all", "skip"]),
    },
    optional={
        "misfire_grace": st.sampled_from([1, 30, 300, 5000]),
        "max_runs": st.integers(1, 40),
        "end_at": st.integers(1, 6000).map(lambda s: MONDAY + timedelta(seconds=s)),
    },
)
WHEN = st.sampled_from(
    [{"interval": 20}, {"interval": 60}, {"interval": 777}, {"cron": "*/3 * * * *"}]
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, MONDAY)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(WHEN, POLICIES, st.sampled_from([0, 0, 1, 45, 300, 5000]), st.integers(0, 4000))
def test_what_is_to_come_is_what_the_scheduler_does(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    when: dict[str, Any],
    policies: dict[str, Any],
    away: int,
    after: int,
) -> None:
    connection.flushdb()
    leader.register_birth()
    clock.time = MONDAY
    policies = {**policies, "timezone": "UTC"}
    job = leader.register(tasks.echo, "metrics", id="report", **when, **policies)
    begin = clock.advance(timedelta(seconds=away))  # without a scheduler, where it is not zero
    job.refresh()
    told = list(job.upcoming(200))
    told_later = list(job.upcoming(50, after=begin + timedelta(seconds=after)))
    overdue = [time for time in told if time <= begin]
    seen = []
    for number in range(PASSES):
        enqueued = len(leader.enqueue_jobs())
        if number == 0:
            assert enqueued == len(overdue)
            seen += overdue
        else:
            seen += [clock.time] * enqueued
        place = connection.zscore(INDEX, "report")
        if place is None:
            assert rounded(told) == rounded(seen)
            return
        clock.time = max(clock.time, datetime.fromtimestamp(place, UTC))
    assert rounded(told[: len(seen)]) == rounded(seen[:200])
    later = [time for time in seen if time > begin + timedelta(seconds=after)]
    assert rounded(told_later[: len(later)]) == rounded(later[:50])


def rounded(times: list[datetime]) -> list[float]:
    """A place in the index is a float."""
    return [round(time.timestamp(), 3) for time in times]


def test_of_several_that_waited_for_the_longest_delay_one_that_is_in_time_runs(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    """Whatever the grace: at each delayed time that is reached, that very run is in time."""
    leader.register(tasks.echo, "metrics", id="report", interval=60, jitter=900, misfire_grace=5)
    runs = 0
    for _ in range(PASSES):
        clock.time = datetime.fromtimestamp(connection.zscore(INDEX, "report"), UTC)
        runs += len(leader.enqueue_jobs())
    assert runs == PASSES


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"cron": "*/5 * * * MON-FRI", "timezone": "Europe/Paris"},
            "Every 5 minutes, Monday to Friday (Europe/Paris)",
        ),
        ({"cron": "0 9 * * *"}, "At 09:00"),
        ({"cron": "@hourly"}, "Every hour"),
        ({"cron": "* * * * * */10"}, "Every 10 seconds"),
        ({"interval": 90}, "Every 90 seconds"),
        ({"interval": 7200}, "Every 2 hours"),
        ({"interval": 86400}, "Every day"),
    ],
)
def test_schedules_are_described_in_words(options: dict[str, Any], words: str) -> None:
    assert make(**options).describe() == words
