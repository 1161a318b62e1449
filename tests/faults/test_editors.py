"""Editors among themselves, and editors that die: no edit is lost, no schedule is left half-way.

Seen to fail: `test_protections.py`.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError

from django_rediscron.core import NoSuchJobError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.story.changes import read_changes, read_log
from tests import tasks
from tests.processes import wait_until

from . import edits
from .edits import EDITS, WRITTEN
from .proxy import Fault, Proxy, RoundTrip, cut_after, cut_before, is_save
from .victims import CUT_OFF, KILLED, STOPPED, Victim, connect, edit
from .world import (
    World,
    assert_absent,
    assert_timed_from_now,
    assert_whole,
    count_runs,
    read_definitions,
    read_hashes,
)


@pytest.mark.parametrize("id", ["later", "off"])
@pytest.mark.parametrize("second", EDITS)
@pytest.mark.parametrize("first", EDITS)
def test_two_editors_both_win(
    connection: Redis, proxy: Proxy, first: str, second: str, id: str
) -> None:
    """Both loaded the same; the second's save is on its way while the first saves.

    Where both wrote the same field, the second has it. What the first deleted comes back only where
    the second registers it.
    """
    world = World(connection)
    early = RedisCronJob.fetch(id, connection)
    late = RedisCronJob.fetch(id, connect(proxy.url))
    proxy.strike(lambda trip: b"EVALSHA" in trip.request, lambda trip: EDITS[first](early))
    if first == "delete" and second not in ("delete", "register"):
        with pytest.raises(NoSuchJobError):
            EDITS[second](late)
    else:
        EDITS[second](late)
    proxy.raise_errors()
    assert proxy.struck
    assert_outcome(world, id, first, second)


PIPELINED = [name for name in EDITS if name != "register"]


@pytest.mark.parametrize("id", ["later", "off"])
@pytest.mark.parametrize("second", PIPELINED)
@pytest.mark.parametrize("first", EDITS)
def test_an_edit_that_waits_in_a_pipeline_wins_as_well(
    connection: Redis, first: str, second: str, id: str
) -> None:
    """It does nothing until it is executed."""
    world = World(connection)
    before = read_hashes(connection)
    early, late = (RedisCronJob.fetch(id, connection) for _ in range(2))
    with connection.pipeline() as pipe:
        EDITS[second](late, pipeline=pipe)
        assert read_hashes(connection) == before
        EDITS[first](early)
        if first == "delete" and second != "delete":
            with pytest.raises(ResponseError, match="NOSUCHJOB"):
                pipe.execute()
        else:
            pipe.execute()
    assert_outcome(world, id, first, second)


@pytest.mark.parametrize("name", ["interval", "cron", "queue", "args", "disable"])
def test_an_edit_whose_pipeline_was_not_executed_can_be_saved_again(
    connection: Redis, proxy: Proxy, name: str
) -> None:
    """The connection broke, or the program thought better of the rest: nothing was written."""
    World(connection)
    job = RedisCronJob.fetch("later", connect(proxy.url))
    with job.connection.pipeline() as pipe:
        EDITS[name](job, pipeline=pipe)
        proxy.strike(lambda trip: True, cut_before)
        with pytest.raises(ConnectionError):
            pipe.execute()
    EDITS[name](job)
    fields = read_hashes(connection)["later"]
    assert {field: fields[field] for field in WRITTEN[name]} == WRITTEN[name]


def assert_outcome(world: World, id: str, first: str, second: str) -> None:
    connection = world.connection
    if second == "delete" or (first == "delete" and second != "register"):
        assert_absent(connection, id)
        return
    definitions = read_definitions(connection)
    if first == "delete":
        expected = {**definitions[id], **WRITTEN["register"], "enabled": "1"}
    else:
        expected = {**world.definitions[id], **WRITTEN[first], **WRITTEN[second]}
    assert definitions == {**world.definitions, id: expected}
    assert_whole(connection)
    if first != "delete":
        assert_timed_from_now(connection, id)


@pytest.mark.parametrize("name", EDITS)
def test_a_save_that_arrives_after_the_schedule_ran_does_not_move_it_back(
    connection: Redis, proxy: Proxy, name: str
) -> None:
    """It was loaded before, and its save was on its way while the scheduler was faster."""
    world = World(connection)
    job = RedisCronJob.fetch("ran 1", connect(proxy.url))
    proxy.strike(lambda trip: b"EVALSHA" in trip.request, lambda trip: world.clean_pass())
    EDITS[name](job)
    proxy.raise_errors()
    assert proxy.struck
    world.clean_pass()
    queues = ("metrics", "other", "edited", "registered")
    queued = sum(connection.llen(f"rq:queue:{queue}") for queue in queues)
    assert queued == len(world.due), "no occurrence ran a second time"
    if name == "delete":
        assert_absent(connection, "ran 1")
        return
    assert count_runs(connection) == world.expected_runs
    assert read_hashes(connection)["ran 1"]["latest_enqueue_time"] == world.due["ran 1"]
    assert_whole(connection)
    assert_timed_from_now(connection, "ran 1")


def test_eight_processes_that_register_one_id_at_once_leave_one_schedule(
    connection: Redis, proxy: Proxy
) -> None:
    held: list[RoundTrip] = []

    def wait_for_all(trip: RoundTrip) -> None:
        held.append(trip)
        wait_until(lambda: len(held) == 8)

    proxy.strike(is_save, wait_for_all, times=8)
    victims = [Victim(register_one, proxy.url, queue=f"q{n}").start() for n in range(8)]
    assert [victim.wait() for victim in victims] == [STOPPED] * 8
    proxy.raise_errors()
    assert_whole(connection)
    (fields,) = read_hashes(connection).values()
    assert int(fields["revision"]) >= 7, "one created it, and the others changed it"
    assert fields["args"] == f'["{fields["queue_name"]}"]', "all of it is from one of them"
    RedisCronScheduler(connection, logging.ERROR).start(burst=True)
    assert connection.llen(f"rq:queue:{fields['queue_name']}") == 1


def register_one(url: str, *, queue: str) -> None:
    scheduler = RedisCronScheduler(connect(url))
    scheduler.register(tasks.echo, queue, id="one", interval=3600, args=(queue,))


Prepare = Callable[[Redis], None]

ACTIONS: dict[str, tuple[Prepare, Prepare]] = {
    "create": (lambda connection: None, edits.create_one),
    "create in pipeline": (lambda connection: None, edits.create_one_in_pipeline),
    "register": (lambda connection: None, edits.register_one),
    "register many": (lambda connection: None, edits.register_many),
    "register again": (edits.create_one_elsewhere, edits.register_one),
    "enable": (edits.create_one_disabled, edits.enable_one),
    "enable in pipeline": (edits.create_one_disabled, edits.enable_one_in_pipeline),
    "disable": (edits.create_one, edits.disable_one),
    "edit": (edits.create_one, edits.move_one),
    "edit in pipeline": (edits.create_one, edits.move_one_in_pipeline),
    "delete": (edits.create_one, edits.delete_one),
    "revert": (edits.create_and_move_one, edits.revert_one),
    "revert to before deletion": (edits.create_move_and_delete_one, edits.revert_one),
    "delete in pipeline": (edits.create_one, edits.delete_one_in_pipeline),
}


@pytest.mark.parametrize("cut", [cut_before, cut_after])
@pytest.mark.parametrize("name", ACTIONS)
def test_an_editor_killed_at_each_round_trip_leaves_all_or_nothing(
    connection: Redis, proxy: Proxy, name: str, cut: Fault
) -> None:
    """And what it leaves runs, if it is enabled: without a repair of the index at birth."""

    def harm(victim: Victim) -> Fault:
        def kill(trip: RoundTrip) -> None:
            if cut is cut_after:
                trip.execute()
            victim.send(signal.SIGKILL)
            trip.cut()

        return kill

    at_each_round_trip(connection, proxy, name, harm, {KILLED})


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("name", ACTIONS)
def test_an_editor_cut_off_at_each_round_trip_leaves_all_or_nothing(
    connection: Redis, proxy: Proxy, name: str, retries: int
) -> None:
    """After the server did it; with retries, redis-py sends it again."""
    at_each_round_trip(
        connection, proxy, name, lambda victim: cut_after, {STOPPED, CUT_OFF}, retries=retries
    )


@pytest.mark.parametrize("retries", [0, 3])
def test_enqueueing_by_hand_enqueues_once_though_the_reply_is_lost(
    connection: Redis, proxy: Proxy, retries: int
) -> None:
    """Redis-py 8.1 sends a whole MULTI ... EXEC again."""
    edits.create_one(connection)
    proxy.strike(lambda trip: b"rq:queue:metrics" in trip.request, cut_after)
    victim = Victim(edit, proxy.url, how=edits.enqueue_one, retries=retries).start()
    assert victim.wait() in (STOPPED, CUT_OFF)
    assert proxy.struck
    assert connection.llen("rq:queue:metrics") == 1
    assert_whole(connection)


def at_each_round_trip(
    connection: Redis,
    proxy: Proxy,
    name: str,
    harm: Callable[[Victim], Fault],
    codes: set[int],
    retries: int = 0,
) -> None:
    """Count the round trips of an edit, then do harm at each of them."""
    prepare, action = ACTIONS[name]

    def begin(fault: int | None = None) -> tuple[dict[str, dict[str, str]], int]:
        connection.flushdb()
        connection.script_flush()
        prepare(connection)
        victim = Victim(edit, proxy.url, how=action, retries=retries)
        proxy.forget()
        if fault is not None:
            proxy.strike(fault, harm(victim))
        before = read_definitions(connection)
        code = victim.start().wait()
        proxy.raise_errors()
        if fault is not None:
            assert code in codes, victim.error
        return before, code

    begin()
    after = without_dates(read_definitions(connection))
    for number in range(len(proxy.trips)):
        before, code = begin(number)
        left = without_dates(read_definitions(connection))
        where = str(proxy.struck[0])
        assert left in ([after] if code == STOPPED else [without_dates(before), after]), where
        assert_whole(connection)
        assert_logged(connection, without_dates(before), left)
        scheduler = RedisCronScheduler(connection, logging.ERROR)
        scheduler.register_birth()
        expected = {id for id, fields in left.items() if fields["enabled"] == "1"}
        assert {job.id for job in scheduler.enqueue_jobs()} == expected, where
        assert_whole(connection)


def assert_logged(
    connection: Redis, before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> None:
    """The log knows each schedule as it is, and has one entry for an edit that was made."""
    for id in {*before, *after, "one"}:
        known = read_log(id, connection).known or {}
        assert known.items() <= after.get(id, {}).items()
        assert bool(known) == (id in after)
        entries = [each for each in read_changes(id, connection) if each.actor == "victim"]
        assert len(entries) == (before.get(id) != after.get(id))


def without_dates(definitions: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {
        id: {name: value for name, value in fields.items() if name != "created_at"}
        for id, fields in definitions.items()
    }
