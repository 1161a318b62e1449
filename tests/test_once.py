"""What has run does not run again, whatever an editor believes of the times of a schedule.

Seen to fail, each with this taken out: the comparison in `wanted_time` in the script `save`;
the look at `latest` and at `is_set_back` in `Recurrence.first`; `DISAGREEMENT` in
`after_step_back`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronScheduler
from django_rediscron.core import RedisCronJob
from tests import tasks
from tests.clock import Clock, set_clock
from tests.test_late import MONDAY

SECOND = timedelta(seconds=1)
EVERY_SECOND, EVERY_SECOND_TOO = "* * * * * *", "*/1 * * * * *"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, MONDAY)


def make(connection: Redis, **options: Any) -> RedisCronJob:
    return RedisCronJob("visits", "metrics", tasks.echo, connection=connection, **options)


def load(connection: Redis) -> RedisCronJob:
    return RedisCronJob.fetch("visits", connection)


def occurrences(connection: Redis) -> list[str]:
    ids = load(connection).get_job_ids(connection)
    return [connection.hget(f"rq:job:{id}", "occurrence").decode() for id in ids]


# Times that have passed


def construct_with_old_times(connection: Redis, old: RedisCronJob) -> None:
    times = old.latest_enqueue_time, old.next_enqueue_time
    make(connection, interval=2, latest_enqueue_time=times[0], next_enqueue_time=times[1]).save()


def move_to_what_has_run(connection: Redis, old: RedisCronJob) -> None:
    job = load(connection)
    job.interval, job.cron = None, EVERY_SECOND
    job.next_enqueue_time = job.latest_enqueue_time
    job.save()


def enable_with_old_times(connection: Redis, old: RedisCronJob) -> None:
    job = make(
        connection,
        interval=1,
        latest_enqueue_time=old.latest_enqueue_time,
        next_enqueue_time=old.next_enqueue_time,
        enabled=False,
    )
    job.save()
    job.enabled, job.next_enqueue_time = True, old.next_enqueue_time
    job.save()


def enable_with_old_times_in_a_pipeline(connection: Redis, old: RedisCronJob) -> None:
    load(connection).disable()
    job = load(connection)
    job.enabled, job.interval, job.next_enqueue_time = True, 2, old.next_enqueue_time
    pipe = connection.pipeline()
    job.save(pipeline=pipe)
    pipe.execute()


@pytest.mark.parametrize(
    "edit",
    [
        construct_with_old_times,
        move_to_what_has_run,
        enable_with_old_times,
        enable_with_old_times_in_a_pipeline,
    ],
)
def test_a_next_time_that_has_run_is_not_taken(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    edit: Callable[[Redis, RedisCronJob], None],
) -> None:
    make(connection, interval=1, next_enqueue_time=clock.time - SECOND).save()
    leader.enqueue_jobs()
    old = load(connection)
    clock.advance(SECOND)
    assert leader.enqueue_jobs()
    ran = load(connection).latest_enqueue_time
    assert ran == old.next_enqueue_time
    edit(connection, old)
    leader.enqueue_jobs()
    job = load(connection)
    assert job.latest_enqueue_time == ran
    assert job.next_enqueue_time is not None
    assert job.next_enqueue_time > ran
    clock.advance(3 * SECOND)
    assert leader.enqueue_jobs() or leader.enqueue_jobs()  # the edit is read in between
    seen = occurrences(connection)
    assert len(seen) == len(set(seen)) == 3


def test_a_next_time_that_this_very_change_says_has_run_is_not_taken(
    connection: Redis, clock: Clock
) -> None:
    noon = clock.time - SECOND
    make(connection, interval=60, latest_enqueue_time=noon, next_enqueue_time=noon).save()
    assert load(connection).next_enqueue_time == clock.time + 60 * SECOND


def test_a_next_time_in_the_past_that_has_not_run_makes_it_due(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    make(connection, interval=3600, latest_enqueue_time=clock.time - 60 * SECOND).save()
    job = load(connection)
    job.interval, job.next_enqueue_time = 7200, clock.time - SECOND
    job.save()
    assert [job.latest_enqueue_time for job in leader.enqueue_jobs()] == [clock.time - SECOND]


# Clocks that are behind


def change_the_expression(connection: Redis, leader: RedisCronScheduler) -> None:
    leader.register(tasks.echo, "metrics", "visits", cron=EVERY_SECOND_TOO)


def begin_to_count_from_its_latest_run(connection: Redis, leader: RedisCronScheduler) -> None:
    job = load(connection)
    job.interval, job.cron, job.start_at = 1, None, job.latest_enqueue_time
    job.save()


def switch_off_and_on(connection: Redis, leader: RedisCronScheduler) -> None:
    load(connection).disable()
    load(connection).enable()


def switch_off_and_on_in_a_pipeline(connection: Redis, leader: RedisCronScheduler) -> None:
    pipe = connection.pipeline()
    job = load(connection)
    job.disable(pipeline=pipe)
    job.enable(pipeline=pipe)
    pipe.execute()


def change_the_zone_in_a_pipeline(connection: Redis, leader: RedisCronScheduler) -> None:
    pipe = connection.pipeline()
    job = load(connection)
    job.timezone = "Europe/Paris"
    job.save(pipeline=pipe)
    pipe.execute()


@pytest.mark.parametrize("behind", [timedelta(seconds=0.1), timedelta(seconds=5)])
@pytest.mark.parametrize(
    "edit",
    [
        change_the_expression,
        begin_to_count_from_its_latest_run,
        switch_off_and_on,
        switch_off_and_on_in_a_pipeline,
        change_the_zone_in_a_pipeline,
    ],
)
def test_an_editor_whose_clock_is_behind_repeats_nothing(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    edit: Callable[[Redis, RedisCronScheduler], None],
    behind: timedelta,
) -> None:
    make(connection, cron=EVERY_SECOND).save()
    clock.advance(SECOND)
    assert leader.enqueue_jobs()
    clock.advance(-behind)
    edit(connection, leader)
    clock.advance(behind)
    leader.enqueue_jobs()
    leader.enqueue_jobs()
    assert len(occurrences(connection)) == 1
    following = load(connection).next_enqueue_time
    assert following is not None
    assert SECOND <= following - clock.time <= 2 * SECOND


@pytest.mark.parametrize("timing", [{"cron": EVERY_SECOND}, {"interval": 1}])
def test_a_new_leader_whose_clock_is_behind_repeats_nothing(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, timing: dict[str, Any]
) -> None:
    make(connection, next_enqueue_time=clock.time, **timing).save()
    leader.enqueue_jobs()
    leader.register_death()
    clock.advance(-10 * SECOND)
    for _ in range(15):
        RedisCronScheduler(connection).start(burst=True)
        clock.advance(SECOND)
    seen = occurrences(connection)
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("timing", [{"cron": EVERY_SECOND}, {"interval": 1}])
@pytest.mark.parametrize("edit", [change_the_expression, switch_off_and_on])
def test_an_edit_after_a_clock_was_set_back_waits_for_no_old_time(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    edit: Callable[[Redis, RedisCronScheduler], None],
    timing: dict[str, Any],
) -> None:
    """But for a daily one: a second run would be worse than an hour of silence."""
    make(connection, next_enqueue_time=clock.time, **timing).save()
    daily = RedisCronJob("daily", "metrics", tasks.echo, interval=86400, connection=connection)
    daily.save()
    assert len(leader.enqueue_jobs()) == 2
    clock.advance(timedelta(hours=-1))
    edit(connection, leader)
    following = load(connection).next_enqueue_time
    assert following is not None
    assert clock.time <= following <= clock.time + 2 * SECOND
    daily.refresh()
    daily.disable()
    daily.enable()
    assert daily.next_enqueue_time is not None
    assert daily.next_enqueue_time > clock.time + timedelta(hours=24)
