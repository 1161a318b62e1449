"""Receivers that hang, raise or are slow keep nobody else waiting, and fill no memory.

Seen to fail, each with this taken out: the thread of an attempt, `MOST_ABANDONED`, the second and
third attempt, the limit of a stream, the numbers of its entries, `pcall` in `includes/notify.lua`
and what `register` catches, the comparisons in `note_told`, `GRACE`, the end of the stream as the
begin of a new receiver, deleting what all were told, the time of a receiver's position,
`_finish_telling`, `MOST_BYTES`, `_is_running` of `Tender`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from redis import Redis
from rq.utils import now

from django_rediscron import Notification, Receiver, RedisCronScheduler
from django_rediscron.core.notifying import streams, telling
from django_rediscron.core.notifying.attempts import MOST_ABANDONED
from django_rediscron.core.notifying.streams import Position
from django_rediscron.core.store.keys import ALARMS, DROPPED, IN_FLIGHT, LOCK, TOLD_SUFFIX
from django_rediscron.core.store.scripts import run_script
from django_rediscron.core.story import following
from django_rediscron.core.story.in_flight import entry_text, terms
from django_rediscron.core.story.outcomes import read_outcomes
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks
from tests.processes import next_job_id, wait_until
from tests.scripts import replace
from tests.test_notifying import Told, entered, leading


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short, and the leader looks at jobs at once."""
    monkeypatch.setattr(telling, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(telling, "POLL", 0.05)
    monkeypatch.setattr(following, "SWEEP", 0.02)
    monkeypatch.setattr(following, "IDLE_SWEEP", 0.02)


def fail(connection: Redis, *job_ids: str, schedule_id: str = "report") -> None:
    """Jobs in flight that have failed: each is an alarm as soon as a leader looks."""
    text = utc_text(now())
    for job_id in job_ids:
        fields = {"status": "failed", "started_at": text, "ended_at": text}
        connection.hset(f"rq:job:{job_id}", mapping=fields)
        entry = entry_text(now(), now(), terms("schedule", "rq:job:"), schedule_id)
        connection.hset(IN_FLIGHT, job_id, entry)


def job_ids_of(told: Sequence[Notification]) -> list[str]:
    return [each.run.job_id for each in told if each.run is not None]


class Hanging:
    """A receiver whose calls do not return before they are let go."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._open = threading.Event()

    def __call__(self, told: Sequence[Notification]) -> None:
        self.calls += job_ids_of(told)
        assert self._open.wait(60)

    def let_go(self) -> None:
        self._open.set()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    receiver = Hanging()
    yield receiver
    receiver.let_go()


def dropped(connection: Redis, name: str) -> int:
    return int(connection.hget(DROPPED, name) or 0)


def threads(name: str) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == name]


def test_one_that_hangs_keeps_nobody_waiting(connection: Redis, hanging: Hanging) -> None:
    told = Told()
    with leading(connection, Receiver("slow", hanging, timeout=0.05), told) as scheduler:
        fail(connection, *"abcdef")
        assert {*job_ids_of([told.next("run_failed") for _ in "abcdef"])} == {*"abcdef"}
        wait_until(lambda: len(hanging.calls) == MOST_ABANDONED)
        wait_until(lambda: dropped(connection, "slow") == 1)
        fail(connection, "g")
        told.next("run_failed")
        scheduler.register(tasks.echo, "metrics", id="due", interval=60)
        next_job_id(connection, "metrics")  # passes go on
        assert len(threads("rediscron-tells-slow")) == MOST_ABANDONED
        assert set(hanging.calls) == {hanging.calls[0]}
        hanging.let_go()
        wait_until(lambda: len(set(hanging.calls)) == 7)
    assert dropped(connection, "slow") == 1


def test_one_that_raises_is_tried_three_times(
    connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    told, calls = Told(), []

    def refuse(notifications: Sequence[Notification]) -> None:
        calls.extend(job_ids_of(notifications))
        if calls[-1] == "a" or len(calls) < 6:
            raise SystemExit("no\nway")

    with leading(connection, Receiver("strict", refuse), told):
        fail(connection, "a")
        told.next("run_failed")
        wait_until(lambda: dropped(connection, "strict") == 1)
        fail(connection, "b")
        told.next("run_failed")
        wait_until(lambda: len(calls) == 6)
        wait_until(lambda: not connection.xlen(ALARMS))
    assert calls == ["a"] * 3 + ["b"] * 3
    assert dropped(connection, "strict") == 1
    (line,) = [each for each in caplog.messages if "dropped" in each]
    assert line.startswith("Receiver strict: dropped after 3 attempts: Schedule report: the run")
    assert line.endswith("SystemExit: no way")


def test_a_stream_that_is_full_loses_the_oldest(
    connection: Redis,
    hanging: Hanging,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit = ("local LONGEST_STREAM = 10000", "local LONGEST_STREAM = 2")
    replace("end_runs", [limit], monkeypatch.setattr)
    with leading(connection, Receiver("slow", hanging, timeout=60)):
        fail(connection, "first")
        wait_until(lambda: hanging.calls)
        fail(connection, *"abcde")
        wait_until(lambda: entered(connection) == 6)
        assert connection.xlen(ALARMS) == 2
        hanging.let_go()
        wait_until(lambda: len(hanging.calls) == 3)
        wait_until(lambda: not connection.xlen(ALARMS))
    assert dropped(connection, "slow") == 3
    (line,) = [each for each in caplog.messages if "dropped" in each]
    assert line == "Receiver slow: 3 notifications are dropped, because it was told too slowly"


def test_a_scheduler_that_stops_does_not_wait_for_long(
    connection: Redis, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_rediscron.core.notifying.threads.GRACE", 0.05)
    monkeypatch.setattr(telling, "GRACE", 0.05)
    with leading(connection, Receiver("slow", hanging, timeout=600)):
        fail(connection, "a", "b")
        wait_until(lambda: hanging.calls)
    assert len(threads("rediscron-tells-slow")) == 1, "it has stopped, and the call goes on"
    assert not connection.exists(LOCK)
    wait_until(lambda: not threads("rediscron-receiver-slow"))
    told: list[str] = []
    successor = Receiver("slow", lambda each: told.extend(job_ids_of(each)))
    RedisCronScheduler(connection, receivers=[successor]).start(burst=True)
    assert set(told) == {"a", "b"}


def test_a_call_that_ends_soon_is_noted_when_a_scheduler_stops(
    connection: Redis, hanging: Hanging
) -> None:
    with leading(connection, Receiver("slow", hanging, timeout=600)) as scheduler:
        fail(connection, "a")
        wait_until(lambda: hanging.calls)
        scheduler.stop()
        threading.Timer(0.3, hanging.let_go).start()
    assert not connection.xlen(ALARMS)


def test_a_new_receiver_begins_at_the_end(
    connection: Redis, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "GRACE", 0)
    told = Told()
    slow = Receiver("slow", hanging, timeout=600)
    with leading(connection, slow):
        fail(connection, "old")
        wait_until(lambda: hanging.calls)
    assert connection.xlen(ALARMS)
    with leading(connection, slow, told, name="two"):
        fail(connection, "new")
        assert job_ids_of([told.next("run_failed")]) == ["new"]


def test_a_burst_tells_before_it_ends(connection: Redis) -> None:
    told = Told()
    patient = Receiver("patient", told.all, gather=600)
    RedisCronScheduler(connection, receivers=[patient]).start(burst=True)
    fail(connection, "a", "b")
    RedisCronScheduler(connection, receivers=[patient]).start(burst=True)
    told.next("run_failed")
    told.next("run_failed")
    assert told.is_empty


def test_large_schedules_are_told_in_parts(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "MOST_BYTES", 1500)
    told: list[list[str]] = []
    patient = Receiver("patient", lambda each: told.append(job_ids_of(each)), gather=600)
    scheduler = RedisCronScheduler(connection, receivers=[patient])
    scheduler.start(burst=True)
    for id in ("one", "two", "three"):
        scheduler.register(tasks.echo, "metrics", id=id, args=["x" * 1000], cron="0 0 29 2 *")
        fail(connection, id, schedule_id=id)
    scheduler.start(burst=True)
    assert sorted(map(len, told)) == [1, 2]
    assert {id for each in told for id in each} == {"one", "two", "three"}


def test_receivers_that_no_leader_has_are_forgotten_after_a_week(connection: Redis) -> None:
    def told(notifications: Sequence[Notification]) -> None: ...

    for name in ("kept", "gone"):
        RedisCronScheduler(connection, receivers=[Receiver(name, told)]).start(burst=True)
    assert {*connection.hkeys(ALARMS + TOLD_SUFFIX)} == {b"gone", b"kept"}
    week = time.time() - streams.FORGOTTEN_AFTER - 1
    connection.hset(ALARMS + TOLD_SUFFIX, "gone", f"0-0 0 {week}")
    RedisCronScheduler(connection).start(burst=True)
    assert connection.hkeys(ALARMS + TOLD_SUFFIX) == [b"kept"]
    connection.hset(ALARMS + TOLD_SUFFIX, "kept", f"0-0 0 {week}")
    connection.xadd(ALARMS, {"kind": "run_failed"})
    RedisCronScheduler(connection).start(burst=True)
    assert not connection.exists(ALARMS, ALARMS + TOLD_SUFFIX)


def test_what_is_noted_twice_counts_once(connection: Redis, leader: RedisCronScheduler) -> None:
    """As if Redis's reply had been lost."""
    token = connection.get(LOCK).decode()
    streams.register(connection, token, ALARMS, ["mail"])
    begin = streams.take(connection, token, ALARMS, "mail", 1)
    assert begin is not None
    after = Position("5-0", 7)
    for _ in range(2):
        assert streams.note(connection, token, ALARMS, "mail", begin.position, after, dropped=3)
    assert dropped(connection, "mail") == 3
    assert not streams.note(connection, "other", ALARMS, "mail", after, begin.position)


def test_what_is_marked_twice_is_told_once(connection: Redis, leader: RedisCronScheduler) -> None:
    token = connection.get(LOCK).decode()
    streams.register(connection, token, ALARMS, ["mail"])
    shared = terms("schedule", "rq:job:", max_runtime=1)
    connection.hset(IN_FLIGHT, "a", entry_text(now(), now(), shared, "report"))
    news = json.dumps([["a", following.RUN_TOO_LONG, "report", "record"]])
    for _ in range(2):
        reply = run_script(connection, following.MARK_TOLD, [LOCK, IN_FLIGHT], [token, news])
        assert reply == [1]
    assert entered(connection) == 1


@pytest.mark.parametrize("key", [ALARMS, ALARMS + TOLD_SUFFIX, DROPPED])
def test_a_key_of_another_type_stops_nothing(
    connection: Redis, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    RedisCronScheduler(connection, receivers=[Told()]).start(burst=True)
    connection.delete(key)
    connection.set(key, "a text")
    with leading(connection, Told()) as scheduler:
        assert_works(connection, scheduler)
    lines = [each for each in caplog.messages if "WRONGTYPE" in each]
    assert len(lines) <= 2, "each trouble is told once"


def test_missing_rights_stop_nothing(connection: Redis, redis_url: str) -> None:
    RedisCronScheduler(connection, receivers=[Told()]).start(burst=True)
    rights = ["+@all", "-xadd", "-xrange", "-xtrim", "~*", "&*"]
    connection.execute_command("ACL", "SETUSER", "narrow", "reset", "on", "nopass", *rights)
    try:
        narrow = Redis.from_url(redis_url, username="narrow", password="any")
        with leading(narrow, Told()) as scheduler:
            assert_works(connection, scheduler)
    finally:
        connection.execute_command("ACL", "DELUSER", "narrow")


def assert_works(connection: Redis, scheduler: RedisCronScheduler) -> None:
    """Outcomes are recorded, and schedules are enqueued."""
    fail(connection, "a")
    wait_until(lambda: not connection.exists(IN_FLIGHT))
    assert read_outcomes(["report"], connection)["report"].failures == 1
    scheduler.register(tasks.echo, "metrics", id="due", interval=60)
    next_job_id(connection, "metrics")


def test_a_receiver_tends_while_its_scheduler_leads(
    connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    tended: list[tuple[Redis, str]] = []

    def tend(client: Redis, leader: str) -> None:
        tended.append((client, leader))
        raise ValueError("broken")

    heart = Receiver("heart", print, kinds=frozenset(), tend=tend, tend_every=0.01)
    with leading(connection, heart):
        wait_until(lambda: len(tended) >= 3)
    client, leader = tended[0]
    assert leader == "one"
    assert client.ping()
    wait_until(lambda: not any("tends" in each.name for each in threading.enumerate()))
    lines = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert [each.getMessage() for each in lines] == [
        "Receiver heart: tending failed: ValueError: broken"
    ]


def test_tending_that_hangs_is_not_begun_twice(connection: Redis) -> None:
    hangs, tended = threading.Event(), []

    def tend(client: Redis, leader: str) -> None:
        tended.append(leader)
        hangs.wait(60)

    heart = Receiver("heart", print, kinds=frozenset(), tend=tend, tend_every=0.01)
    scheduler = RedisCronScheduler(connection, receivers=[heart])
    try:
        scheduler.start(burst=True)
        wait_until(lambda: tended)
        scheduler.start(burst=True)
        assert len([each for each in threading.enumerate() if "tends" in each.name]) == 1
    finally:
        hangs.set()
