"""Why a schedule did not run: each answer against what the test did."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from django_rediscron import (
    Answer,
    InvalidScheduleError,
    NoSuchJobError,
    RedisCronJob,
    RedisCronScheduler,
    Run,
    acting_as,
    why,
)
from django_rediscron.core.store.keys import LOCK, job_key
from django_rediscron.core.story.changes import read_changes
from django_rediscron.core.story.following import Following
from django_rediscron.core.story.outside import OutsideWatch
from django_rediscron.core.story.why.asked import read_asked
from django_rediscron.core.story.why.asking import gather
from django_rediscron.core.timing.cron_times import occurrence_delay, utc_text
from tests import tasks
from tests.clock import Clock, set_clock

UTC = timezone.utc
MIDNIGHT = datetime(2026, 3, 23, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, MIDNIGHT)


class Day:
    """A day of schedules, and what was done on it.

    `expected`: the verdict of each schedule for each minute, as it follows from what the test did.
    """

    def __init__(self, connection: Redis, clock: Clock) -> None:
        self.connection = connection
        self.clock = clock
        self.leader: RedisCronScheduler | None = None
        self.expected: dict[str, dict[datetime, str]] = {}

    def lead(self, name: str) -> None:
        self.leader = RedisCronScheduler(self.connection, name=name, lock_ttl=3600)
        self.leader.register_birth()

    def stop(self) -> None:
        assert self.leader is not None
        self.leader.register_death()
        self.leader = None

    def register(self, id: str, **options: Any) -> None:
        timing = {} if "interval" in options else {"cron": "* * * * *", "timezone": "UTC"}
        scheduler = RedisCronScheduler(self.connection)
        scheduler.register(tasks.echo, id, id=id, **{**timing, **options})
        self.expected.setdefault(id, {})

    def change(self, id: str, **fields: Any) -> None:
        job = RedisCronJob.fetch(id, self.connection)
        for name, value in fields.items():
            setattr(job, name, value)
        job.save()

    def minute(self, **verdicts: str) -> None:
        """The next minute: a pass, if somebody leads. `verdicts`: of those that do not run."""
        self.clock.advance(MINUTE)
        for id, expected in self.expected.items():
            expected[self.clock.time] = verdicts.get(id, "ran")
        if self.leader is not None:
            self.clock.advance(SECOND)
            self.leader.enqueue_jobs()
            self.clock.advance(-SECOND)

    def minutes(self, number: int, **verdicts: str) -> None:
        for _ in range(number):
            self.end_jobs()
            self.minute(**verdicts)

    def now_expected(self, id: str, *verdicts: str) -> None:
        """Of the latest minutes, the newest last."""
        latest = list(self.expected[id])[-len(verdicts) :]
        self.expected[id].update(zip(latest, verdicts, strict=True))

    def end_jobs(self) -> None:
        """All jobs that wait are done, as RQ would say."""
        for id in self.expected:
            for job_id in self.connection.lrange(f"rq:queue:{id}", 0, -1):
                text = utc_text(self.clock.time)
                fields = {"status": "finished", "started_at": text, "ended_at": text}
                self.connection.hset(b"rq:job:" + job_id, mapping=fields)
            self.connection.delete(f"rq:queue:{id}")

    def answer(self, id: str, time: datetime | None = None) -> Answer:
        (answer,) = why(id, time or self.clock.time, self.connection)
        return answer

    def check(self) -> None:
        """Ask for each minute so far."""
        found = []
        for id, expected in self.expected.items():
            for time, verdict in expected.items():
                answer = self.answer(id, time)
                told = "ran" if answer.verdict in ("waiting", "running") else answer.verdict
                if told != verdict:
                    found.append(f"{id} {time:%H:%M}: {verdict}, not {told}: {answer.sentence}")
        assert found == []


@pytest.fixture
def day(connection: Redis, clock: Clock) -> Day:
    return Day(connection, clock)


@pytest.mark.slow
def test_a_day_with_every_cause_of_not_running(day: Day) -> None:
    """Asked again and again, for each minute so far."""
    day.lead("first")
    day.register("latest")
    day.register("all", catch_up="all", catch_up_limit=5)
    day.register("skip", catch_up="skip")
    day.register("grace", misfire_grace=90)
    day.register("interval", interval=60)
    day.register("overlap", overlap="skip")
    day.minutes(5)
    for _ in range(3):  # whose jobs do not end
        day.minute(overlap="overlap")
    day.now_expected("overlap", "overlap", "overlap", "overlap")
    day.check()
    assert "that of 2026-03-23 00:05 UTC" in day.answer("overlap").sentence

    day.stop()
    day.minutes(10, **dict.fromkeys(day.expected, "unled"))
    day.check()
    answer = day.answer("latest", MIDNIGHT + 12 * MINUTE)
    assert "since 2026-03-23 00:08 UTC (first stopped)" in answer.sentence
    day.lead("second")
    day.minutes(1)
    caught_up = ["missed"] * 10
    day.now_expected("latest", *caught_up, "ran")
    day.now_expected("interval", *caught_up, "ran")
    day.now_expected("overlap", *caught_up, "ran")
    day.now_expected("all", *["missed"] * 6, *["ran"] * 5)
    day.now_expected("skip", *caught_up, "ran")
    day.now_expected("grace", *["misfire"] * 9, "missed", "ran")
    day.check()
    answer = day.answer("latest", MIDNIGHT + 12 * MINUTE)
    assert "the later run of 2026-03-23 00:19 UTC" in answer.sentence
    assert "from 2026-03-23 00:08 UTC (first stopped) to 2026-03-23 00:18 UTC" in answer.sentence
    assert answer.facts == {
        "unled_since": "2026-03-23T00:08:00.000000Z",
        "unled_until": "2026-03-23T00:18:00.000000Z",
        "leader_before": "first",
        "leader_after": "second",
    }
    assert "its misfire_grace of 1 min 30 s" in day.answer("grace", answer.time).sentence

    with acting_as("admin:alice"):
        day.change("latest", enabled=False)
        day.change("interval", enabled=False)
    day.minutes(5, latest="disabled", interval="disabled")
    day.check()
    with acting_as("admin:bob"):
        day.change("latest", enabled=True)
        day.change("interval", enabled=True)
    day.minutes(2)
    day.check()
    answer = day.answer("latest", MIDNIGHT + 20 * MINUTE)
    assert "disabled at 2026-03-23 00:19 UTC by admin:alice" in answer.sentence
    assert "enabled at 2026-03-23 00:24 UTC by admin:bob" in answer.sentence

    day.change("latest", cron="*/2 * * * *")
    day.change("interval", interval=120)
    day.minutes(1, latest="none", interval="none")
    day.minutes(1)
    day.minutes(1, latest="none", interval="none")
    answer = day.answer("latest")
    assert "the nearest times are 2026-03-23 00:28 UTC and 2026-03-23 00:30 UTC" in answer.sentence
    day.check()
    day.change("latest", cron="* * * * *")
    day.change("interval", interval=60)
    day.minutes(3)
    day.check()

    day.change("latest", func="tests.tasks.fail")
    day.connection.hset(job_key("latest"), "func_name", "tests.tasks.gone")
    day.minutes(5, latest="error")
    day.check()
    answer = day.answer("latest", day.clock.time - 2 * MINUTE)
    assert "tests.tasks.gone" in answer.sentence
    day.connection.hset(job_key("latest"), "func_name", "tests.tasks.echo")
    day.minutes(15)
    day.check()


def test_it_is_told_why_and_until_when_one_was_disabled(day: Day) -> None:
    """Since the first time that it was, for the reason that was given last."""
    day.lead("first")
    day.register("a", cron="* * * * *")
    day.minutes(2)
    job = RedisCronJob.fetch("a", day.connection)
    job.disable(reason="the bank is closed", until=10 * MINUTE, actor="amy")
    until = job.disabled_until
    assert until is not None
    assert job.disabled_at is not None
    day.minute(a="disabled")
    answer = day.answer("a")
    said = "disabled at 2026-03-23 00:02 UTC by amy (the bank is closed) until 2026-03-23 00:12 UTC"
    assert said in answer.sentence
    assert answer.facts == {
        **answer.facts,
        "reason": "the bank is closed",
        "until": utc_text(until),
    }
    job.disable(reason="it is bankrupt", until=3 * MINUTE, actor="bob")
    day.minute(a="disabled")
    answer = day.answer("a")
    assert "and once more at 2026-03-23 00:03 UTC by bob (it is bankrupt) until" in answer.sentence
    assert (answer.facts["actor"], answer.facts["reason"]) == ("bob", "it is bankrupt")
    assert answer.facts["since"] == utc_text(job.disabled_at)
    day.minutes(2, a="disabled")
    day.minutes(2)
    day.check()
    sentence = day.answer("a", MIDNIGHT + 4 * MINUTE).sentence
    assert "and enabled at 2026-03-23 00:06:01 UTC by scheduler:first (until 2026-03" in sentence


def test_before_and_after_there_is_a_schedule_none_was_due(day: Day) -> None:
    day.lead("first")
    day.minute()
    day.register("a", cron="* * * * *", overlap="skip")
    day.minutes(2)
    day.minute(a="overlap")
    with acting_as("carol"):
        RedisCronJob.fetch("a", day.connection).delete()
    day.minutes(3, a="none")
    day.check()
    sentence = day.answer("a").sentence
    assert "deleted at 2026-03-23 00:04 UTC by carol" in sentence
    assert "created" in day.answer("a", MIDNIGHT).sentence
    day.register("a", cron="*/2 * * * *")
    day.minute()
    day.minute(a="none")
    day.check()
    with pytest.raises(NoSuchJobError, match="nothing is on record"):
        why("b", None, day.connection)


def test_what_is_finished(day: Day) -> None:
    day.lead("first")
    day.register("end", end_at=MIDNIGHT + 3 * MINUTE)
    day.register("runs", max_runs=3)
    day.minutes(3)
    day.minutes(3, end="finished", runs="finished")
    day.change("end", end_at=None)
    day.change("runs", max_runs=5)
    day.minutes(2)
    day.minutes(2, runs="finished")
    day.check()
    assert "end_at was 2026-03-23 00:03 UTC" in day.answer("end", MIDNIGHT + 5 * MINUTE).sentence
    assert "all 5 runs" in day.answer("runs").sentence


def test_what_leaves_no_trace_is_lost(day: Day) -> None:
    """Only this, for a run that was caught up has one that stands for it."""
    day.lead("first")
    day.register("a")
    day.minutes(3)
    (job_id,) = day.connection.lrange("rq:queue:a", 0, -1)
    for key in (f"rq:job:{job_id.decode()}", "rq:queue:a", "rq:cron_jobs:in_flight"):
        day.connection.delete(key)
    day.connection.zrem("rq:cron_job:a:jobs", job_id)
    day.minutes(2)
    day.expected["a"][MIDNIGHT + 3 * MINUTE] = "lost"
    day.check()
    assert "scheduler first was leading" in day.answer("a", MIDNIGHT + 3 * MINUTE).sentence


def test_a_first_run_that_leaves_no_trace_is_lost(day: Day) -> None:
    """It was due when the schedule was created."""
    day.lead("first")
    day.register("a", interval=120)
    assert day.answer("a", MIDNIGHT).verdict == "coming"
    day.leader.enqueue_jobs()
    assert day.answer("a", MIDNIGHT).verdict == "waiting"
    day.connection.delete("rq:cron_jobs:in_flight", "rq:cron_job:a:jobs")
    assert day.answer("a", MIDNIGHT).verdict == "lost"


def test_what_was_due_while_nobody_led_and_was_then_changed(day: Day) -> None:
    day.lead("first")
    day.register("a")
    day.register("b")
    day.register("c")
    day.minutes(2)
    day.stop()
    day.minutes(3, a="unled", b="unled", c="unled")
    day.clock.advance(20 * SECOND)
    day.change("a", cron="30 * * * *")
    RedisCronJob.fetch("b", day.connection).delete()
    day.change("c", enabled=False)
    day.lead("second")
    day.clock.advance(-20 * SECOND)
    day.minutes(2, a="none", b="none", c="disabled")
    day.check()


def test_with_jitter_the_nominal_time_counts(day: Day) -> None:
    day.lead("first")
    day.register("a", jitter=50)
    day.clock.advance(MINUTE)
    answer = day.answer("a")
    assert answer.verdict == "coming"
    assert "(jitter)" in answer.sentence
    day.clock.advance(55 * SECOND)
    day.leader.enqueue_jobs()
    assert day.answer("a", MIDNIGHT + MINUTE).verdict == "waiting"
    assert day.answer("a", MIDNIGHT + MINUTE + 30 * SECOND).verdict == "none"


def test_what_is_to_come(day: Day) -> None:
    day.register("a", max_runs=10)
    answer = day.answer("a", MIDNIGHT + 9 * MINUTE)
    assert answer.verdict == "coming"
    assert "no scheduler is running" in answer.sentence
    day.lead("first")
    assert "no scheduler" not in day.answer("a", MIDNIGHT + 9 * MINUTE).sentence
    assert day.answer("a", MIDNIGHT + 11 * MINUTE).verdict == "finished"
    assert day.answer("a", MIDNIGHT + 11 * MINUTE + SECOND).verdict == "none"
    day.change("a", enabled=False)
    assert day.answer("a", MIDNIGHT + 9 * MINUTE).verdict == "disabled"


def test_a_change_that_disables_among_others_is_said_to_disable(day: Day) -> None:
    day.lead("first")
    day.register("a")
    day.minutes(1)
    day.clock.advance(MINUTE)
    with acting_as("amy"):
        day.change("a", enabled=False, args=(1,))
    answer = day.answer("a", MIDNIGHT + 2 * MINUTE)
    assert answer.verdict == "disabled"
    assert "was disabled at 2026-03-23 00:02 UTC by amy, before it was" in answer.sentence


def test_what_another_program_did_is_told_by_name(day: Day) -> None:
    day.lead("first")
    day.register("a")
    key = job_key("a")
    for deed in (
        lambda: day.connection.hset(key, "enabled", "0"),
        lambda: day.connection.hset(key, "enabled", "1"),
        lambda: day.connection.delete(key),
    ):
        day.minutes(2)
        deed()
        OutsideWatch(day.connection, {b"a"}).step()
    day.minutes(2)
    by = "by a program that keeps no log (noticed at 2026-03-23 00:0{} UTC)".format
    assert f"enabled {by(4)}" in day.answer("a", MIDNIGHT + 4 * MINUTE).sentence
    assert f"deleted {by(6)}" in day.answer("a", MIDNIGHT + 7 * MINUTE).sentence


def test_without_a_time_the_latest_and_the_next_are_told(day: Day) -> None:
    day.lead("first")
    day.register("a", cron="*/10 * * * *")
    day.clock.advance(3 * MINUTE)
    (only,) = RedisCronJob.fetch("a", day.connection).why()
    assert (only.verdict, only.time) == ("coming", MIDNIGHT + 10 * MINUTE)
    day.clock.advance(8 * MINUTE)
    day.leader.enqueue_jobs()
    latest, following = why("a", None, day.connection)
    assert (latest.verdict, latest.time) == ("waiting", MIDNIGHT + 10 * MINUTE)
    assert (following.verdict, following.time) == ("coming", MIDNIGHT + 20 * MINUTE)
    RedisCronJob.fetch("a", day.connection).delete()
    assert [answer.time for answer in why("a", None, day.connection)] == [latest.time]


def test_a_run_that_has_ended_still_tells_what_it_stands_for() -> None:
    first, last = MIDNIGHT + MINUTE, MIDNIGHT + 9 * MINUTE
    run = Run("job", last + SECOND, "finished", occurrence=last, stands_since=first)
    assert Run.from_text(run.to_text()) == run


# Which time is meant

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("03:00", ["2026-03-23T03:00+01:00"]),
        ("3:00:30", ["2026-03-23T03:00:30+01:00"]),
        ("13:00", ["2026-03-22T13:00+01:00"]),  # the latest such time
        ("2026-03-20T03:00", ["2026-03-20T03:00+01:00"]),
        ("2026-03-20 03:00:01.5", ["2026-03-20T03:00:01.500000+01:00"]),
        ("2026-03-20T03:00Z", ["2026-03-20T03:00+00:00"]),
        ("2026-03-20T03:00-05:00", ["2026-03-20T03:00-05:00"]),
        ("2026-03-20T03:00-0500", ["2026-03-20T03:00-05:00"]),
        ("2026-03-20T03:00:01.234567Z", ["2026-03-20T03:00:01.234567+00:00"]),
        ("2025-10-26T02:30", ["2025-10-26T02:30+02:00", "2025-10-26T02:30+01:00"]),
        ("2025-03-30T02:30", ["2025-03-30T03:00+02:00"]),  # the clocks skip it
    ],
)
def test_texts_are_in_the_time_zone_of_the_schedule(text: str, times: list[str]) -> None:
    noon = datetime(2026, 3, 23, 12, tzinfo=BERLIN)
    found = [asked.time for asked in read_asked(text, BERLIN, noon)]
    assert found == [datetime.fromisoformat(time) for time in times]


@pytest.mark.parametrize(
    "value",
    ["", "soon", "25:00", "2026-03-20", "2026-02-30T03:00", "9" * 300, 5, datetime(2026, 1, 1)],
)
def test_what_is_no_time_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidScheduleError, match="time must be") as refused:
        read_asked(value, None, MIDNIGHT)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("cron", "day_of_change", "asked", "verdicts"),
    [
        ("*/30 * * * *", "2025-10-26", "02:30", ["waiting +0200", "waiting +0100"]),
        ("30 2 * * *", "2025-10-26", "02:30", ["waiting +0200"]),
        ("30 3 * * *", "2025-10-26", "02:30", ["none +0200"]),
        ("30 2 * * *", "2025-03-30", "02:30", ["waiting +0200"]),  # at 03:00
        ("30 2 * * *", "2025-03-30", "03:00", ["waiting +0200"]),
        ("*/30 * * * *", "2025-03-30", "02:30", ["none +0200"]),
        ("*/30 * * * *", "2025-03-30", "03:00", ["waiting +0200"]),
    ],
)
def test_wall_times_that_the_clocks_repeat_or_skip(
    day: Day, cron: str, day_of_change: str, asked: str, verdicts: list[str]
) -> None:
    day.clock.time = datetime.fromisoformat(f"{day_of_change}T00:00").replace(tzinfo=BERLIN)
    day.lead("first")
    day.register("a", cron=cron, timezone="Europe/Berlin")
    for _ in range(12):
        day.clock.time = (day.clock.time.astimezone(UTC) + 30 * MINUTE).astimezone(BERLIN)
        day.leader.enqueue_jobs()
    answers = why("a", f"{day_of_change}T{asked}", day.connection)
    told = [f"{a.verdict} {a.time.astimezone(BERLIN):%z}" for a in answers]
    assert told == verdicts
    if "none" in told[0] and "03-30" in day_of_change:
        assert "the clocks skipped 02:30" in answers[0].sentence


def test_what_is_before_the_records_is_unknown(day: Day) -> None:
    day.lead("first")
    day.register("a")
    day.minutes(10)
    token = day.connection.get(LOCK).decode()
    Following(day.connection, keep_runs=3).sweep(token)
    old = day.connection.zrange("rq:cron_job:a:jobs", 0, -2)
    day.connection.delete(*(b"rq:job:" + job_id for job_id in old))
    answer = day.answer("a", MIDNIGHT + 2 * MINUTE)
    assert (answer.verdict, answer.run) == ("ran", None)
    assert "how it ended is not on record" in answer.sentence
    day.connection.zrem("rq:cron_job:a:jobs", *old)  # of which RQ keeps 1,000
    verdicts = [day.answer("a", MIDNIGHT + n * MINUTE).verdict for n in (2, 9, 10)]
    assert verdicts == ["unknown", "ran", "waiting"]
    day.connection.delete("rq:cron_jobs:changes:a")  # as of a schedule of an earlier version
    assert day.answer("a", MIDNIGHT - HOUR).verdict == "unknown"
    assert "the oldest is from 2026-03-23 00:00 UTC" in day.answer("a", MIDNIGHT - HOUR).sentence


def test_what_is_before_changes_that_were_too_large_to_keep_is_unknown(day: Day) -> None:
    """They are fewer than of other schedules, and those before them are not known to be none."""
    day.lead("first")
    day.register("a", cron="0 12 * * *")
    day.change("a", cron="* * * * *")
    for number in range(6):
        day.clock.advance(MINUTE)
        day.change("a", args=("x" * 500_000, number))
    assert len(read_changes("a", day.connection)) == 2
    answer = day.answer("a", MIDNIGHT + MINUTE)
    assert answer.verdict == "unknown"
    assert "the oldest is from 2026-03-23 00:05 UTC" in answer.sentence
    day.register("b")
    day.clock.advance(MINUTE)
    day.change("b", args=("x" * 500_000,))
    assert day.answer("b", MIDNIGHT + MINUTE).verdict == "none", "all of its changes are on record"


def test_an_interval_may_begin_within_a_minute(day: Day) -> None:
    day.clock.advance(17 * SECOND)
    day.lead("first")
    day.register("a", interval=3600)
    day.leader.enqueue_jobs()
    day.clock.advance(2 * HOUR)
    day.leader.enqueue_jobs()
    (answer,) = why("a", "2026-03-23T01:00Z", day.connection)
    assert (answer.verdict, answer.time) == ("missed", MIDNIGHT + HOUR + 17 * SECOND)
    (answer,) = why("a", "2026-03-23T01:00:00.5Z", day.connection)
    assert answer.verdict == "none"


def test_what_was_damaged_or_deleted_by_hand(day: Day) -> None:
    day.lead("first")
    for id in ("a", "b", "c"):
        day.register(id)
    day.minutes(2)
    day.connection.hset(job_key("a"), "cron", "61 * * * *")
    day.connection.delete(job_key("b"))
    RedisCronScheduler(day.connection).register(
        tasks.echo, "c", id="c", cron="* * * * *", timezone="UTC", enabled=False
    )
    day.stop()
    day.lead("second")  # which remembers none of them
    day.minutes(2, a="error", b="lost", c="disabled")
    day.check()
    assert "61" in day.answer("a").sentence
    assert day.answer("a", day.clock.time + HOUR).verdict == "error"
    assert day.answer("b", day.clock.time + HOUR).verdict == "none"
    assert "no deletion is on record" in day.answer("b").sentence


def test_what_other_programs_did_and_nobody_has_noticed(day: Day) -> None:
    options: dict[str, Any] = {
        "retry": {"max": 3, "intervals": [1, 2]}, "jitter": 0,
        "args": [1, {"a": "ä"}], "kwargs": {"b": None}, "meta": {"c": 1.5}, "name": "A",
        "job_timeout": "1h", "result_ttl": -1, "description": "what it does", "max_failures": 3,
        "overlap": "skip", "at_front": True, "start_at": MIDNIGHT, "misfire_grace": 3600,
    }  # fmt: skip
    day.register("a", **options)
    assert gather("a", day.connection).timeline.eras[0].begun.what == "created"
    day.lead("first")
    day.minute()
    day.connection.hset(job_key("a"), "enabled", 0)
    day.clock.advance(10 * MINUTE)
    answer = day.answer("a", MIDNIGHT + HOUR)
    assert answer.verdict == "disabled"
    assert "noticed at 2026-03-23 00:11 UTC" in answer.sentence


def test_a_delay_longer_than_the_period_holds_up_those_that_follow(day: Day) -> None:
    """So that the leader was gone before it could enqueue one whose own delay was over."""

    def own(number: int) -> datetime:
        time = MIDNIGHT + number * MINUTE
        return time + timedelta(seconds=occurrence_delay("jitter", time, 300))

    held_up = next(n for n in range(6, 60) if own(n) + MINUTE < own(n - 1))
    day.lead("first")
    day.register("jitter", jitter=300)
    while day.clock.time < own(held_up) + 10 * SECOND:
        day.clock.advance(SECOND)
        day.leader.enqueue_jobs()
    day.stop()
    day.clock.time = own(held_up) + HOUR
    for enabled in (False, True):
        day.change("jitter", enabled=enabled)
    answer = day.answer("jitter", MIDNIGHT + held_up * MINUTE)
    assert answer.verdict == "unled", answer.sentence
    assert "first stopped" in answer.sentence
