"""Backfills: one job for each occurrence of a span, by the right definition, and none twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.utils import now

from django_rediscron import (
    InvalidScheduleError,
    NoSuchJobError,
    RedisCronJob,
    RedisCronScheduler,
    ScheduleChangedError,
    pause,
    why,
)
from django_rediscron.core.backfill import running
from django_rediscron.core.backfill.note import Order, read_note
from django_rediscron.core.backfill.running import Backfill, Step
from django_rediscron.core.dispatch.run_now import enqueue_now
from django_rediscron.core.schedule.texts import parse_time
from django_rediscron.core.store.keys import backfill_key, changes_key, job_key
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks
from tests.clock import set_clock
from tests.processes import wait_until, working
from tests.test_cli import verbs_on

DAY = datetime(2026, 6, 3, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def create(connection: Redis, id: str = "a", **options: Any) -> RedisCronJob:
    """A schedule of every hour, whose next run is to come."""
    options = {"cron": "0 * * * *", "timezone": "UTC", "result_ttl": 3600, **options}
    if "interval" in options:
        del options["cron"]
    job = RedisCronJob(
        id, "metrics", options.pop("func", tasks.echo), connection=connection, **options
    )
    job.save()
    return job


def hours(first: int, last: int) -> Order:
    """A span of that day."""
    return Order(DAY + first * HOUR, DAY + last * HOUR)


def done(order: Order, connection: Redis, id: str = "a", **options: Any) -> list[Step]:
    return list(Backfill(id, order, connection, **options).run())


def outcomes(steps: list[Step]) -> list[tuple[int, str]]:
    """Hours since the begin of the day, and what became of them."""
    return [((step.occurrence - DAY) // HOUR, step.outcome) for step in steps]


def queued(connection: Redis) -> list[datetime | None]:
    """The occurrences of the jobs in the queue, in turn."""
    jobs = [id.decode() for id in connection.lrange("rq:queue:metrics", 0, -1)]
    return [occurrence_of(id, connection) for id in jobs]


def occurrence_of(job_id: str, connection: Redis) -> datetime | None:
    text = connection.hget(f"rq:job:{job_id}", "occurrence")
    return parse_time(text.decode()) if text else None


def work(connection: Redis) -> None:
    """Run all that is queued."""
    SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(
        burst=True, logging_level="ERROR"
    )


def follow(connection: Redis) -> None:
    RedisCronScheduler(connection, logging_level="ERROR").start(burst=True)


def test_each_occurrence_gets_one_job_and_the_schedule_stays_as_it_is(connection: Redis) -> None:
    create(connection)
    before = connection.hgetall(job_key("a"))
    steps = done(hours(2, 5), connection)
    assert outcomes(steps) == [(hour, "enqueued") for hour in (2, 3, 4, 5)]
    assert queued(connection) == [step.occurrence for step in steps]
    assert connection.hgetall(job_key("a")) == before
    ids = RedisCronJob.fetch("a", connection).get_job_ids(connection)
    assert sorted(ids) == sorted(step.job_id for step in steps)


def test_the_function_is_told_which_occurrence_it_is(connection: Redis) -> None:
    create(connection, func=tasks.tell_occurrence)
    (step,) = done(hours(2, 2), connection)
    work(connection)
    returned = Job.fetch(step.job_id, connection=connection).return_value()
    assert returned == ["a", (DAY + 2 * HOUR).isoformat()]


def test_its_cause_is_told(connection: Redis, redis_url: str) -> None:
    """In the history, by `why`, and in the records of runs."""
    create(connection)
    done(hours(2, 3), connection)
    (answer,) = why("a", DAY + 2 * HOUR, connection)
    assert (answer.verdict, answer.facts.get("late_seconds")) == ("waiting", None)
    assert "by a backfill, and waits in queue metrics" in answer.sentence
    work(connection)
    follow(connection)
    runs = RedisCronJob.fetch("a", connection).get_runs(connection)
    assert [(run.cause, run.status, run.occurrence) for run in runs] == [
        ("backfill", "finished", DAY + 3 * HOUR),
        ("backfill", "finished", DAY + 2 * HOUR),
    ]
    (answer,) = why("a", DAY + 2 * HOUR, connection)
    assert answer.verdict == "ran"
    assert "by a backfill" in answer.sentence
    assert "late" not in answer.sentence
    told = verbs_on(redis_url)
    assert told("history", "a").splitlines()[1].endswith("backfill")
    assert json.loads(told("history", "a", "--json"))["runs"][0]["cause"] == "backfill"


# What ran already


def test_what_ran_already_is_left_out(connection: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the scheduler, whether it has ended or is in flight; runs by hand are no occurrences."""
    clock = set_clock(monkeypatch, DAY + HOUR / 2)
    job = create(connection)
    clock.time = DAY + 3 * HOUR
    follow(connection)  # the latest of three that were missed
    enqueue_now(job, connection)
    clock.time = DAY + 3.5 * HOUR
    assert outcomes(done(hours(1, 3), connection)) == [
        (1, "enqueued"),
        (2, "enqueued"),
        (3, "ran already"),
    ]
    monkeypatch.undo()
    work(connection)
    follow(connection)
    connection.delete(backfill_key("a"))
    assert {outcome for _, outcome in outcomes(done(hours(1, 3), connection))} == {"ran already"}
    again = Order(DAY + HOUR, DAY + 3 * HOUR, again=True)
    assert [outcome for _, outcome in outcomes(done(again, connection))] == ["enqueued"] * 3
    (answer,) = why("a", DAY + 3 * HOUR, connection)
    assert answer.run is not None
    assert answer.run.cause == "schedule"


def test_what_is_in_flight_is_known_however_much_it_is(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history has but the newest jobs."""
    create(connection)
    done(hours(1, 3), connection)
    connection.zremrangebyrank("rq:cron_job:a:jobs", 0, -2)
    connection.delete(backfill_key("a"))
    assert {outcome for _, outcome in outcomes(done(hours(1, 3), connection))} == {"ran already"}


def test_what_is_not_on_record_is_told(connection: Redis, redis_url: str) -> None:
    """Only the newest runs are kept: what is older may have run."""
    create(connection)
    done(hours(1, 4), connection)
    work(connection)
    RedisCronScheduler(connection, logging_level="ERROR", keep_runs=2).start(burst=True)
    connection.delete(backfill_key("a"), "rq:cron_job:a:jobs")
    connection.delete(changes_key("a"))  # it is old
    told = verbs_on(redis_url)
    span = ("--from", "2026-06-03T01:00", "--to", "2026-06-03T04:00")
    assert "may not be on record" in told("backfill", "a", *span, "--dry-run")
    assert "Answer with --yes" in told("backfill", "a", *span, status=2)
    assert not connection.exists(backfill_key("a"))
    assert told("backfill", "a", *span, "--yes").splitlines()[-1] == "a: 2 enqueued, 2 ran already"


def test_a_schedule_that_was_created_since_cannot_have_run(
    connection: Redis, redis_url: str
) -> None:
    create(connection)
    span = ("--from", "2016-06-03T01:00", "--to", "2016-06-03T04:00")
    told = verbs_on(redis_url)("backfill", "a", *span)
    assert told.splitlines()[-1] == "a: 4 enqueued, 0 ran already"


def test_what_is_still_to_be_enqueued_is_left_to_the_scheduler(connection: Redis) -> None:
    """It would run twice."""
    job = create(connection)
    connection.hset(job_key("a"), "next_enqueue_time", utc_text(DAY + 3 * HOUR))
    with pytest.raises(InvalidScheduleError, match="still to enqueue the occurrences of 'a' from"):
        done(hours(1, 3), connection)
    assert len(done(hours(1, 2), connection)) == 2
    job.disable()
    assert len(done(hours(3, 4), connection)) == 2


# Going on


def test_the_same_command_goes_on_and_another_one_is_refused(connection: Redis) -> None:
    create(connection)
    task = Backfill("a", hours(1, 200), connection).run()
    first = [next(task) for _ in range(3)]  # and what is of the same transaction
    task.close()
    note = read_note("a", connection)
    assert note is not None
    assert note.enqueued == running.BATCH
    with pytest.raises(InvalidScheduleError, match="give it up with --abandon"):
        Backfill("a", hours(1, 201), connection)
    rest = done(hours(1, 200), connection)
    assert len(rest) == 200 - running.BATCH
    assert sorted(queued(connection)) == [DAY + n * HOUR for n in range(1, 201)]  # type: ignore[type-var]
    assert first[0].job_id
    assert done(hours(1, 200), connection) == []  # it is finished
    assert len(done(hours(1, 201), connection)) == 201


def test_an_interval_keeps_its_rhythm(connection: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enabling the schedule between two commands begins another one."""
    monkeypatch.setattr(running, "BATCH", 1)
    create(connection, interval=3600)
    task = Backfill("a", hours(1, 4), connection).run()
    first = next(task)
    task.close()
    connection.hset(job_key("a"), "next_enqueue_time", utc_text(now() + HOUR / 3))
    rest = done(hours(1, 4), connection)
    assert [step.occurrence - first.occurrence for step in rest] == [HOUR, 2 * HOUR]


def test_an_abandoned_one_stops(connection: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    create(connection)
    monkeypatch.setattr(running, "BATCH", 2)
    old = Backfill("a", hours(1, 9), connection).run()
    next(old)
    new = done(hours(2, 4), connection, abandon=True)
    assert outcomes(new) == [(2, "ran already"), (3, "enqueued"), (4, "enqueued")]
    next(old)
    with pytest.raises(ScheduleChangedError, match="was given up: it was begun anew by"):
        next(old)
    assert len(queued(connection)) == 4


def test_a_job_that_the_abandoned_one_enqueues_last_is_not_enqueued_again(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(connection)
    monkeypatch.setattr(running, "BATCH", 1)
    old = Backfill("a", hours(1, 3), connection).run()
    next(old)
    task = Backfill("a", hours(1, 3), connection, abandon=True)
    next(old)
    assert outcomes(list(task.run()))[:2] == [(1, "ran already"), (2, "ran already")]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda job: job.delete(), "was deleted meanwhile"),
        (lambda job: job.disable(reason="stop it"), "was disabled meanwhile .*stop it"),
        (lambda job: set_and_save(job, kwargs={"n": 2}), "was changed meanwhile"),
    ],
)
def test_it_stops_if_the_schedule_is_changed(
    connection: Redis, monkeypatch: pytest.MonkeyPatch, change: Any, complaint: str
) -> None:
    monkeypatch.setattr(running, "BATCH", 2)
    job = create(connection)
    task = Backfill("a", hours(1, 6), connection).run()
    next(task)
    change(job)
    next(task)
    with pytest.raises((ScheduleChangedError, NoSuchJobError), match=complaint):
        next(task)
    if not connection.exists(job_key("a")):
        create(connection)
        assert len(done(hours(1, 6), connection)) == 6  # it is another schedule
        return
    assert [hour for hour, _ in outcomes(done(hours(1, 6), connection))] == [3, 4, 5, 6]


def set_and_save(job: RedisCronJob, **values: Any) -> None:
    for name, value in values.items():
        setattr(job, name, value)
    job.save()


def test_a_pass_meanwhile_does_not_stop_it(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BATCH", 2)
    create(connection, interval=1)
    begin = now() - HOUR
    task = Backfill("a", Order(begin, begin + timedelta(seconds=10)), connection).run()
    next(task)
    follow(connection)
    assert len(list(task)) == 9
    assert max(Counter(queued(connection)).values()) == 1


# Which definition


def test_as_of_takes_the_definition_of_then(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_clock(monkeypatch, DAY)
    job = create(connection, cron="30 * * * *", kwargs={"n": 1})
    clock.time = DAY + 5 * HOUR
    set_and_save(job, cron="0 * * * *", kwargs={"n": 2}, queue_name="other")
    monkeypatch.undo()
    order = Order(DAY + HOUR, DAY + 3 * HOUR, as_of=DAY + 2 * HOUR)
    steps = done(order, connection)
    assert [step.occurrence - DAY for step in steps] == [1.5 * HOUR, 2.5 * HOUR]
    jobs = [Job.fetch(step.job_id, connection=connection) for step in steps]
    assert [(each.kwargs, each.origin) for each in jobs] == [({"n": 1}, "metrics")] * 2
    set_and_save(job, kwargs={"n": 3})  # concerns it no longer
    connection.delete(backfill_key("a"))
    assert len(done(order, connection)) == 2


def test_as_of_counts_an_interval_from_when_it_began(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_clock(monkeypatch, DAY + timedelta(minutes=17))
    job = create(connection, interval=3600)
    follow(connection)
    clock.time = DAY + 5.5 * HOUR
    set_and_save(job, interval=600)
    monkeypatch.undo()
    order = Order(DAY + HOUR, DAY + 3 * HOUR, as_of=DAY + 2 * HOUR)
    steps = done(order, connection)
    assert [f"{step.occurrence:%H:%M}" for step in steps] == ["01:17", "02:17"]


def test_a_definition_that_is_not_on_record_is_refused(connection: Redis) -> None:
    create(connection)
    order = Order(DAY, DAY + HOUR, as_of=DAY)
    with pytest.raises(InvalidScheduleError, match="there was no schedule 'a' at 2026-06-03"):
        done(order, connection)
    connection.delete(changes_key("a"))
    with pytest.raises(InvalidScheduleError, match="not on record: the oldest is from"):
        done(order, connection)


@pytest.mark.parametrize(
    ("cron", "begin", "times"),
    [
        # The clocks skip from 02:00 to 03:00, and repeat 02:00 to 03:00.
        ("30 2 * * *", datetime(2026, 3, 28, 12), ["03-29T01:00", "03-30T00:30"]),
        ("30 2 * * *", datetime(2026, 10, 24, 12), ["10-25T00:30", "10-26T01:30"]),
        ("30 */2 * * *", datetime(2026, 10, 25), ["10-25T00:30", "10-25T01:30", "10-25T03:30"]),
    ],
)
def test_a_span_over_a_change_of_daylight_saving(
    connection: Redis, cron: str, begin: datetime, times: list[str]
) -> None:
    create(connection, cron=cron, timezone="Europe/Paris")
    begin = begin.replace(tzinfo=timezone.utc)
    end = begin + (timedelta(hours=40) if cron == "30 2 * * *" else 4 * HOUR)
    steps = done(Order(begin, end), connection)
    assert [f"{step.occurrence:%m-%dT%H:%M}" for step in steps] == times
    assert done(Order(begin, end), connection) == []


def test_bounds_of_the_schedule_hold(connection: Redis) -> None:
    create(connection, interval=3600, start_at=DAY + 2 * HOUR, end_at=DAY + 4 * HOUR)
    assert [hour for hour, _ in outcomes(done(hours(1, 9), connection))] == [2, 3, 4]


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (Order(DAY + HOUR, DAY), "ends before it begins"),
        (Order(DAY, now() + HOUR), "must end in the past"),
        (Order(DAY, DAY, as_of=now() + HOUR), "must be in the past"),
    ],
)
def test_a_wrong_span_is_refused(connection: Redis, order: Order, complaint: str) -> None:
    create(connection)
    with pytest.raises(InvalidScheduleError, match=complaint):
        Backfill("a", order, connection)
    assert not connection.exists(backfill_key("a"))


def test_what_cannot_be_enqueued_is_refused_before_anything_is_written(connection: Redis) -> None:
    create(connection)
    with pytest.raises(NoSuchJobError):
        Backfill("b", hours(1, 2), connection)
    connection.set("rq:queue:metrics", "not a list")
    with pytest.raises(InvalidScheduleError, match="rq:queue:metrics is of a wrong type"):
        done(hours(1, 2), connection)
    note = read_note("a", connection)
    assert note is not None
    assert note.position is None
    connection.delete("rq:queue:metrics")
    connection.hset(job_key("a"), "func_name", "tests.tasks.gone")
    with pytest.raises(InvalidScheduleError, match="gone"):
        done(hours(1, 2), connection)


# Pace and overlap


def test_the_pace_is_that_of_all_who_work_on_it(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured by the clock that the note was written by."""
    clock = set_clock(monkeypatch, now())
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    create(connection)
    monkeypatch.setattr(running.time, "sleep", sleep)
    begun = clock.time
    steps = list(Backfill("a", hours(1, 4), connection).run(per_minute=30))
    assert outcomes(steps) == [(hour, "enqueued") for hour in (1, 2, 3, 4)]
    assert waits == pytest.approx([2, 2, 2])
    clock.advance(timedelta(seconds=1))
    connection.hdel(backfill_key("a"), "finished_at")
    connection.hset(backfill_key("a"), "to", utc_text(DAY + 5 * HOUR))
    assert len(list(Backfill("a", hours(1, 5), connection).run(per_minute=30))) == 1
    assert waits[3:] == pytest.approx([1])
    assert clock.time - begun == pytest.approx(timedelta(seconds=8), abs=timedelta(seconds=0.01))


@pytest.mark.parametrize("overlap", ["skip", "queue_one"])
def test_the_next_one_waits_until_the_one_before_has_ended(
    connection: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch, overlap: str
) -> None:
    """With a real worker; a run by hand counts, too."""
    monkeypatch.setattr(running, "POLL", 0.01)
    job = create(connection, func=tasks.wait_for_release, args=("release",), overlap=overlap)
    enqueue_now(job, connection)
    with working(redis_url, heartbeat_ttl=60), ThreadPoolExecutor() as pool:
        filling = pool.submit(done, hours(1, 3), connection)
        seen: list[int] = []
        for _ in range(4):
            connection.blpop(["release:started"], timeout=50)
            time.sleep(0.1)  # ten looks of the backfill
            seen.append(unended(connection))
            connection.rpush("release", "go")
        assert seen == [1, 1, 1, 1]
        assert outcomes(filling.result(60)) == [(hour, "enqueued") for hour in (1, 2, 3)]
        wait_until(lambda: unended(connection) == 0, timeout=50)


def unended(connection: Redis) -> int:
    ids = [id.decode() for id in connection.zrange("rq:cron_job:a:jobs", 0, -1)]
    states = [connection.hget(f"rq:job:{id}", "status") for id in ids]
    return sum(state in (b"queued", b"started") for state in states)


def test_a_queue_that_runs_its_jobs_at_once(connection: Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "django_rediscron.core.dispatch.applications.get_queue",
        lambda name, connection: Queue(name, connection=connection, is_async=False),
    )
    create(connection, func=tasks.tell_occurrence)
    steps = done(hours(1, 3), connection)
    returned = [Job.fetch(step.job_id, connection=connection).return_value() for step in steps]
    assert [each[1] for each in returned] == [step.occurrence.isoformat() for step in steps]


# At a terminal

SPAN = ("--from", "2026-06-03T01:00", "--to", "2026-06-03T03:00")


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Iterator[Any]:
    create(connection)
    return verbs_on(redis_url)


def test_a_backfill_at_a_terminal(told: Any, connection: Redis) -> None:
    lines = [f"2026-06-03T0{hour}:00:00Z  {{}}" for hour in (1, 2, 3)]
    assert told("backfill", "a", *SPAN, "--dry-run").splitlines() == [
        *(line.format("would be enqueued") for line in lines),
        "a: 3 would be enqueued, 0 ran already",
    ]
    assert not connection.exists(backfill_key("a"))
    *found, last = told("backfill", "a", *SPAN).splitlines()
    ids = [id.decode() for id in connection.lrange("rq:queue:metrics", 0, -1)]
    assert found == [line.format(f"enqueued  {id}") for line, id in zip(lines, ids, strict=True)]
    assert last == "a: 3 enqueued, 0 ran already"
    assert told("backfill", "a", *SPAN).splitlines() == [
        "a: 0 enqueued, 0 ran already, 3 were done before; it is finished, and --abandon begins it "
        "anew"
    ]
    assert told("backfill", "a", *SPAN, "--abandon").splitlines()[-1] == (
        "a: 0 enqueued, 3 ran already"
    )


def test_it_is_told_to_programs(told: Any, connection: Redis) -> None:
    found = json.loads(told("backfill", "a", *SPAN, "--json"))
    assert {name: value for name, value in found.items() if name != "occurrences"} == {
        "id": "a",
        "from": "2026-06-03T01:00:00.000000Z",
        "to": "2026-06-03T03:00:00.000000Z",
        "as_of": None,
        "again": False,
        "dry_run": False,
        "finished": True,
        "enqueued": 3,
        "ran_already": 0,
        "left": 0,
    }
    first = found["occurrences"][0]
    assert first["occurrence"] == "2026-06-03T01:00:00.000000Z"
    assert (first["outcome"], first["done"]) == ("enqueued", True)
    assert occurrence_of(first["job_id"], connection) == DAY + HOUR


def test_more_than_a_thousand_need_an_answer(told: Any, connection: Redis) -> None:
    span = ("--from", "2026-03-01", "--to", "2026-04-12")
    assert "1,009 jobs would be enqueued; more than 1,000 need --yes" in told(
        "backfill", "a", *span, status=2
    )
    assert not connection.exists(backfill_key("a"))
    *_, more, summary = told("backfill", "a", *span, "--dry-run").splitlines()
    assert (more, summary) == ("... and 9 more", "a: 1009 would be enqueued, 0 ran already")
    last = told("backfill", "a", *span, "--yes").splitlines()[-1]
    assert last == "a: 1009 enqueued, 0 ran already"
    assert len(set(queued(connection))) == 1009


def test_wrong_usage_is_told(told: Any) -> None:
    for arguments, complaint, status in (
        (("a", "--from", "2h", "--to", "1h"), "'2h' is not a time such as", 2),
        (("a", "--from", "soon", "--to", "2026-06-03"), "'soon' is neither a time", 2),
        (("a", "--from", "2026-06-03"), "--to", 2),
        (("ab", *SPAN), "did you mean 'a'", 1),
        (("a", *SPAN, "--per-minute", "0"), "--per-minute", 2),
    ):
        assert complaint in told("backfill", *arguments, status=status)


def test_what_was_skipped_for_a_pause_can_be_run(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it lasts."""
    clock = set_clock(monkeypatch, DAY + HOUR / 2)
    create(connection, catch_up="all")
    pause(connection, reason="moving")
    clock.time = DAY + 3 * HOUR
    follow(connection)
    assert queued(connection) == []
    assert outcomes(done(hours(1, 2), connection)) == [(1, "enqueued"), (2, "enqueued")]
