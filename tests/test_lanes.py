"""What happened to many schedules in a span of time, and what is to come."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.lanes.closed import Unled, unled
from django_rediscron.core.lanes.marks import Mark, fold, lane_of, to_come
from django_rediscron.core.lanes.plans import FIELDS, Plan
from django_rediscron.core.lanes.reading import ran_between, read_lanes
from django_rediscron.core.lanes.span import Span
from django_rediscron.core.lanes.starts import starts_of
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.store import define_many
from django_rediscron.core.store.keys import runs_key
from django_rediscron.core.store.pauses import Pause
from django_rediscron.core.store.search import search
from django_rediscron.core.story.reigns import Reign
from django_rediscron.core.story.runs import Run
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.core.timing.recurrence import Recurrence
from tests import tasks
from tests.clock import Clock, set_clock

UTC = timezone.utc
NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINUTE = timedelta(minutes=1)

CHANGES = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
"""When the clocks change in Paris."""


FAST = ("* * * * * *", "*/7 * * * * *")
CRONS = (
    *FAST,
    *("* * * * *", "*/5 8-18 * * mon-fri", "0 * * * *"),
    *(
        "30 2 * * *",
        "*/30 2 * * *",
        "0,30 1-3 * * *",
        "17 3 * * *",
        "0 0 1 * *",
        "5-59/9 */2 * * *",
    ),
    *("5-59/9 */2 * * *", "15 10 29 2 *", "@daily", "59 23 L * *"),
)
ZONES = ("", "UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


def plans(connection: Redis, moment: datetime) -> dict[str, Plan]:
    """The plans of all schedules that are stored."""
    rows = search(connection, values=FIELDS)
    return {row[0]: Plan.from_texts(row, moment) for row in rows}


def plan_of(connection: Redis, moment: datetime = NOON, **options: Any) -> Plan:
    """The plan of a schedule that is made now."""
    queue = options.pop("queue", "metrics")
    job = RedisCronJob("report", queue, func=tasks.echo, connection=connection, **options)
    job.save(event="created")
    return plans(connection, moment)["report"]


def day(moment: datetime = NOON) -> Span:
    """The 24 hours from a moment on, seen at noon."""
    return Span(moment, moment + DAY, NOON)


def kinds(marks: Any) -> list[tuple[str, int]]:
    return [(mark.kind, mark.count) for mark in marks]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_to_come_is_counted_as_if_one_walked_through_it(
    seed: int, connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    begin = chance.choice([*CHANGES, NOON]) + chance.randint(-30, 10) * HOUR
    clock = set_clock(monkeypatch, begin + timedelta(seconds=chance.randint(0, 3599)))
    jobs = [random_schedule(chance, f"job-{number}", clock.time) for number in range(40)]
    define_many(jobs, connection)
    now = clock.advance(chance.choice([MINUTE, 5 * HOUR]))
    low = now + chance.choice([-HOUR, timedelta(), timedelta(), 5 * HOUR])
    longest = Span(low, low + chance.choice([HOUR, 7 * HOUR, 30 * HOUR]), now)
    found = plans(connection, now)
    for job in jobs:
        is_fast = job.cron in FAST or (job.interval or HOUR.total_seconds()) < 60
        span = replace(longest, high=low + 20 * MINUTE) if is_fast else longest
        stored = RedisCronJob.fetch(job.id, connection)
        walked = walk(stored, span)
        counted = starts_of([replace(found[job.id], created_at=now)], span)
        assert sum(step.count for step in counted.steps) == len(walked), (
            job,
            found[job.id],
            span,
            walked[:3],
        )
        by_step = Counter(map(span.step_of, walked))
        assert [step.count for step in counted.steps] == [
            by_step[number] for number in range(len(counted.steps))
        ], job
        folded = list(to_come(found[job.id], span, gap=HOUR))
        assert sum(1 if mark.kind == "due" else mark.count for mark in folded) == len(walked), job
        if folded and folded[0].kind != "due":
            assert (folded[0].first, folded[-1].last) == (walked[0], walked[-1])


def random_schedule(chance: random.Random, id: str, moment: datetime) -> RedisCronJob:
    options: dict[str, Any] = {}
    if chance.random() < 0.7:
        options["cron"] = chance.choice(CRONS)
        options["timezone"] = chance.choice(ZONES) or None
    else:
        options["interval"] = chance.choice([1, 7, 60, 900, 3601, 50_000])
    if chance.random() < 0.3:
        options["start_at"] = moment + timedelta(minutes=chance.randint(-600, 600))
    if chance.random() < 0.3:
        options["end_at"] = moment + timedelta(minutes=chance.randint(700, 2000))
    if chance.random() < 0.3:
        options["max_runs"] = chance.choice([1, 2, 50, 500, 5000])
    return RedisCronJob(id, "metrics", func=tasks.echo, **options)


def walk(job: RedisCronJob, span: Span) -> list[datetime]:
    """All runs to come in a span; one that is overdue starts now, or as early as it can."""
    upcoming = (time.astimezone(UTC) for time in job.upcoming(1_000_000))
    times = [*takewhile(lambda time: time < span.high, upcoming)]
    if not times or span.high <= span.now:
        return []
    first, *others = times
    if first <= span.now and span.low <= span.now:
        first = max(job.next_enqueue_time or first, span.low)
    return [time for time in [first, *others] if span.low <= time < span.high]


def test_a_dense_schedule_is_a_band_between_its_breaks(connection: Redis, at_noon: Clock) -> None:
    plan = plan_of(connection, cron="*/5 8-18 * * *")
    bands = list(to_come(plan, day(), gap=48 * MINUTE))
    assert [(band.count, f"{band.first:%H:%M}", f"{band.last:%H:%M}") for band in bands] == [
        (83, "12:05", "18:55"),
        (48, "08:00", "11:55"),
    ]


def test_a_million_runs_are_counted_without_a_walk(
    connection: Redis, at_noon: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []
    step = Recurrence.next

    def noted(self: Recurrence, after: datetime) -> datetime | None:
        asked.append(after)
        return step(self, after)

    monkeypatch.setattr(Recurrence, "next", noted)
    month = Span(NOON + DAY, NOON + 31 * DAY, NOON)
    for timing in ({"cron": "* * * * * *"}, {"interval": 1}):
        plan = plan_of(connection, **timing)
        (band,) = to_come(plan, month, gap=DAY)
        assert band.count == 30 * 86400
        assert sum(each.count for each in starts_of([plan], month).steps) == 30 * 86400
        connection.flushdb()
    assert len(asked) < 100


def test_what_is_delayed_is_where_it_runs(connection: Redis, at_noon: Clock) -> None:
    plan = plan_of(connection, cron="0 0 * * *", jitter=3600)
    midnight = NOON + 12 * HOUR
    delayed = plan.own_time(midnight)
    assert delayed > midnight
    for low in (midnight, midnight + timedelta(seconds=1)):
        (mark,) = to_come(plan, Span(low, low + 2 * HOUR, NOON))
        assert mark.first == delayed
    assert not [*to_come(plan, Span(NOON, delayed, NOON))]


def test_what_is_disabled_or_paused_is_marked_as_such(connection: Redis, at_noon: Clock) -> None:
    plan = plan_of(connection, cron="0 * * * *")
    disabled = replace(plan, enabled=False)
    assert kinds(fold(to_come(disabled, day()), DAY)) == [("off", 23)]
    until = replace(disabled, enabled_from=NOON + 5 * HOUR)
    assert kinds(fold(to_come(until, day()), DAY)) == [("off", 4), ("planned", 19)]
    for queue in (None, "metrics"):
        pause = Pause(queue, NOON - HOUR, "alice", until=NOON + 3 * HOUR)
        assert kinds(fold(to_come(plan, day(), [pause]), DAY)) == [("paused", 2), ("planned", 21)]
    assert kinds(fold(to_come(plan, day(), [Pause("mail", NOON, "alice")]), DAY)) == [
        ("planned", 23)
    ]
    limited = replace(until, left=3)
    assert kinds(fold(to_come(limited, day()), DAY)) == [("off", 3), ("planned", 3)]
    starts = starts_of([plan, disabled], day(), [Pause(None, NOON, "alice", until=NOON + 3 * HOUR)])
    assert sum(step.count for step in starts.steps) == 21
    assert starts.active == {"report"}


def test_what_is_overdue_is_one_run_now(connection: Redis, at_noon: Clock) -> None:
    plan = plan_of(connection, cron="*/20 * * * *")
    late = NOON + 65 * MINUTE
    marks = list(to_come(plan, Span(NOON, NOON + 2 * HOUR, late)))
    assert kinds(marks) == [("due", 3), ("planned", 1), ("planned", 1)]
    assert (marks[0].first, marks[0].end) == (NOON + 20 * MINUTE, late)


def test_nothing_is_to_come_of_what_is_finished_or_cannot_be_read(
    connection: Redis, at_noon: Clock
) -> None:
    plan_of(connection, interval=60)
    key = "rq:cron_job:report"
    for wrong in (
        {"finished_at": utc_text(NOON)},
        {"interval": "often"},
        {"interval": "", "cron": "61 * * * *"},
        {"interval": "", "cron": ""},
        {"timezone": "Mars/Olympus", "cron": "* * * * *"},
        {"next_enqueue_time": "soon"},
        {"max_runs": "x"},
    ):
        stored = connection.hgetall(key)
        connection.hset(key, mapping=wrong)
        plan = plans(connection, NOON)["report"]
        assert plan.recurrence is None, wrong
        assert [*to_come(plan, day())] == []
        assert starts_of([plan], day()).peak is None
        connection.delete(key)
        connection.hset(key, mapping=stored)


def test_runs_and_skips_of_the_past(connection: Redis) -> None:
    def run(status: str, minutes: int, lasted: float | None = 1) -> Run:
        begin = NOON - minutes * MINUTE
        end = None if lasted is None else begin + timedelta(minutes=lasted)
        return Run(f"{status}-{minutes}", begin, status, begin, end)

    runs = [
        run("started", 7, None),
        *(run("finished", minutes) for minutes in range(10, 60, 5)),
        run("failed", 33),
        run("finished", 300, 90),
        run("finished", 2000),
    ]
    skip = Skip(NOON - 3 * HOUR, NOON - 2 * HOUR, 4, "overlap", NOON - 2 * HOUR)
    plan = Plan("report", "metrics", None)
    lane = lane_of(plan, runs, [skip], Span(NOON - DAY, NOON, NOON), gap=20 * MINUTE)
    assert kinds(lane.marks) == [
        *(("finished", 1), ("skip", 4), ("finished", 10), ("failed", 1), ("started", 1)),
    ]
    assert lane.marks[0].end - lane.marks[0].first == 90 * MINUTE
    assert lane.marks[-1].end == NOON
    assert lane.marks[3].run == runs[11]


def test_lanes_are_read_from_redis(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    job = scheduler.register(tasks.echo, "metrics", id="report", interval=3600)
    scheduler.register(tasks.echo, "metrics", id="idle", cron="0 0 1 1 *")
    scheduler.register_birth()
    scheduler.enqueue_jobs()
    now = datetime.now(UTC)
    span = Span(now - HOUR, now + 2 * HOUR, now)
    found = plans(connection, now)
    lanes = read_lanes([found["report"], found["idle"]], connection, span)
    assert [kinds(lane.marks) for lane in lanes] == [
        [("queued", 1), ("planned", 1), ("planned", 1)][: 3 if job else 0],
        [],
    ]
    connection.set("rq:cron_job:idle:jobs", "no history")
    assert ran_between(["report", "idle"], connection, span) == {"report"}
    assert ran_between(["report"], connection, Span(now, now + HOUR, now)) == set()


def test_of_many_runs_those_of_the_span_are_found(connection: Redis, at_noon: Clock) -> None:
    plan = plan_of(connection, cron="0 * * * *")
    for hours in range(90):
        begin = NOON - hours * HOUR
        lasted = 20 * HOUR if hours == 40 else MINUTE
        run = Run(f"job-{hours}", begin, "finished", begin, begin + lasted)
        connection.rpush(runs_key("report"), run.to_text())
    span = Span(NOON - 30 * HOUR, NOON - 24 * HOUR, NOON)
    (lane,) = read_lanes([plan], connection, span)
    found = [mark.run.job_id for mark in lane.marks if mark.run is not None]
    assert found == ["job-40", *(f"job-{hours}" for hours in range(30, 24, -1))]


def test_when_nobody_led() -> None:
    def reign(since: int, until: int | None) -> Reign:
        ends = None if until is None else NOON + until * HOUR
        return Reign("prime", "", None, NOON + since * HOUR, ends, "")

    def gaps(*reigns: Reign) -> list[tuple[float, float]]:
        found = unled(reigns, Span(NOON - DAY, NOON + DAY, NOON))
        return [((gap.since - NOON) / HOUR, (gap.until - NOON) / HOUR) for gap in found]

    assert gaps() == []
    assert gaps(reign(-5, None)) == []
    assert gaps(reign(-5, None), reign(-30, -8)) == [(-8, -5)]
    assert gaps(reign(-5, -3), reign(-40, -30)) == [(-24, -5), (-3, 0)]
    assert unled([reign(-5, -3)], Span(NOON + HOUR, NOON + DAY, NOON)) == []
    assert Unled(NOON, NOON) == Unled(NOON, NOON)


def test_folding_keeps_what_lasts_long() -> None:
    def mark(minute: int, lasts: int = 0) -> Mark:
        begin = NOON + minute * MINUTE
        return Mark("finished", begin, begin, begin + lasts * MINUTE)

    marks = [mark(0), mark(5), mark(10, 50), mark(15), mark(40)]
    assert kinds(fold(marks, 20 * MINUTE)) == [
        *(("finished", 2), ("finished", 1), ("finished", 1), ("finished", 1)),
    ]
    assert kinds(fold(marks, timedelta())) == [("finished", 1)] * 5
