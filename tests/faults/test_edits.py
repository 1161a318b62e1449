"""Edits between the scheduler's read and its write: none is lost, and nothing comes back.

Seen to fail: `test_protections.py`.
"""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Callable

import pytest
from redis import Redis
from rq.job import Job

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store import reindex
from django_rediscron.core.store.keys import (
    DISABLED,
    INDEX,
    LOCK,
    LOGGED_SINCE,
    history_key,
    job_key,
)
from django_rediscron.core.story.changes import read_changes
from tests import tasks
from tests.processes import next_job_id

from . import edits
from .edits import WRITTEN, Edit
from .proxy import Fault, Proxy, RoundTrip, cut_after, cut_before, is_batch
from .resp import arguments
from .victims import STOPPED, Victim, lead
from .world import (
    BATCHES,
    World,
    assert_absent,
    assert_indexed,
    assert_timed_from_now,
    assert_whole,
    count_runs,
    read_definitions,
    read_hashes,
)

AT_READ: dict[str, tuple[Edit, dict[str, str], int, int]] = {
    "interval": (edits.change_interval, WRITTEN["interval"], 0, 1),
    "cron": (edits.change_cron, WRITTEN["cron"], 0, 0),
    "queue": (edits.change_queue, WRITTEN["queue"], 1, 1),
    "args": (edits.change_args, WRITTEN["args"], 1, 1),
    "disable": (edits.disable, WRITTEN["disable"], 0, 0),
    "disable and enable": (edits.disable_and_enable, WRITTEN["enable"], 0, 1),
    "register": (edits.register, WRITTEN["register"], 0, 1),
    "rq-rediscron: queue": (edits.foreign_queue, WRITTEN["queue"], 1, 1),
    "rq-rediscron: disable": (edits.foreign_disable, WRITTEN["disable"], 0, 0),
}
"""The edit, the fields that it writes, and how often the schedule runs in the pass after that, if
it ran before, and if it never did. Where its next time is computed anew, that is from now."""


@pytest.mark.parametrize("name", AT_READ)
@pytest.mark.parametrize("id", ["cron 1", "ran 1", "new 1"])
def test_an_edit_between_read_and_write_holds(
    connection: Redis, proxy: Proxy, name: str, id: str
) -> None:
    """The others of its batch go through."""
    edit, written, *runs_after = AT_READ[name]
    runs = runs_after[id == "new 1"]
    if (id, name) == ("cron 1", "cron"):
        runs = 1  # its expression is what it was
    world = World(connection)
    run_with_edit(proxy, lambda: edit(RedisCronJob.fetch(id, connection)), holding(id))
    (batch,) = (batch for batch in BATCHES if id in batch)
    ran = count_runs(connection)
    assert {other: ran[other] for other in batch} == {other: int(other != id) for other in batch}

    world.clean_pass()
    assert count_runs(connection) == {**world.expected_runs, id: runs}
    expected = {**world.definitions[id], **written}
    assert read_definitions(connection)[id] == expected
    for job_id in connection.zrange(history_key(id), 0, -1):
        job = Job.fetch(job_id.decode(), connection=connection)
        assert job.origin == expected["queue_name"]
        assert list(job.args) == json.loads(expected["args"])
    if name == "rq-rediscron: disable":
        reindex(connection)
    assert_whole(connection)
    assert_timed_from_now(connection, id)


@pytest.mark.parametrize("id", ["cron 1", "ran 1", "new 1"])
@pytest.mark.parametrize("delete", [edits.delete, edits.foreign_delete])
def test_what_is_deleted_between_read_and_write_stays_dead(
    connection: Redis, proxy: Proxy, delete: Edit, id: str
) -> None:
    world = World(connection)
    run_with_edit(proxy, lambda: delete(RedisCronJob.fetch(id, connection)), holding(id))
    del world.expected_runs[id]
    world.clean_pass()
    assert_absent(connection, id)
    assert count_runs(connection) == world.expected_runs
    assert_whole(connection)


@pytest.mark.parametrize("edit", [edits.delete, edits.disable, edits.change_interval])
def test_an_edit_between_read_and_write_keeps_no_later_batch_from_its_pass(
    connection: Redis, proxy: Proxy, edit: Edit
) -> None:
    """The edited schedule is no more among the due ones, so that these move up."""
    world = World(connection)
    run_with_edit(proxy, lambda: edit(RedisCronJob.fetch("ran 1", connection)), holding("ran 1"))
    ran = {id for id, runs in count_runs(connection).items() if runs}
    assert ran == world.due.keys() - {"ran 1"}


def test_what_is_enabled_between_read_and_write_stays_enabled(
    connection: Redis, proxy: Proxy
) -> None:
    """It was read as disabled, and its place in the index is to be corrected."""
    World(connection)
    connection.zadd(INDEX, {"off": 1.0})
    run_with_edit(proxy, lambda: RedisCronJob.fetch("off", connection).enable())
    assert_indexed(connection, read_hashes(connection))
    assert connection.zscore(INDEX, "off") is not None


def test_an_edit_of_a_schedule_that_the_scheduler_remembers_holds(
    connection: Redis, proxy: Proxy
) -> None:
    """It is not read again before it runs, only compared; and rq-rediscron counts no revision."""
    job = RedisCronJob("often", "metrics", tasks.echo, interval=1, connection=connection)
    job.save()
    victim = Victim(lead, proxy.url, burst=False).start()
    next_job_id(connection, "metrics")
    proxy.strike(is_batch, lambda trip: edits.foreign_queue(job))
    next_job_id(connection, "edited")
    assert connection.llen("rq:queue:metrics") == 0
    victim.send(signal.SIGTERM)
    assert victim.wait() == STOPPED


def test_a_hash_of_few_fields_that_is_deleted_stays_dead(connection: Redis, proxy: Proxy) -> None:
    """Written by hand, without revision and times, as DESIGN allows: each has its default."""
    World(connection)
    fields = {"id": "few", "func_name": "tests.tasks.echo", "queue_name": "few", "interval": 60}
    connection.hset(job_key("few"), mapping=fields)
    connection.zadd(INDEX, {"few": 1.0})
    run_with_edit(proxy, lambda: edits.foreign_delete(RedisCronJob.fetch("few", connection)))
    assert connection.llen("rq:queue:few") == 0
    assert_absent(connection, "few")


def test_a_damaged_hash_that_is_deleted_stays_dead(connection: Redis, proxy: Proxy) -> None:
    """Its error is not written into nothing."""
    World(connection)
    connection.hset(job_key("damaged"), mapping={"id": "damaged", "interval": "-5"})
    connection.zadd(INDEX, {"damaged": 1.0})
    run_with_edit(proxy, lambda: connection.delete(job_key("damaged")))
    assert not connection.exists(job_key("damaged"))


def test_a_blocked_schedule_that_is_deleted_stays_dead(connection: Redis, proxy: Proxy) -> None:
    """That its queue is no list is found in one script call and recorded in another one."""
    World(connection)
    connection.set("rq:queue:metrics", "not a list")
    calls: list[RoundTrip] = []

    def delete_before_record(trip: RoundTrip) -> None:
        trip.execute()
        calls.append(trip)
        assert trip.reply is not None
        if b"q" in trip.reply:
            for id in ("cron 1", "cron 2", "ran 1"):
                RedisCronJob.fetch(id, connection).delete()

    proxy.strike(is_batch, delete_before_record, times=2)
    assert Victim(lead, proxy.url).start().wait() == STOPPED
    proxy.raise_errors()
    for id in ("cron 1", "cron 2", "ran 1"):
        assert_absent(connection, id)


def test_a_schedule_that_replaces_what_was_no_hash_is_due_at_once(
    connection: Redis, proxy: Proxy
) -> None:
    """Its place, put off because of the error, is not put off again behind its back."""
    World(connection)
    connection.set(job_key("text"), "not a hash")
    connection.zadd(INDEX, {"text": 1.0})
    scheduler = RedisCronScheduler(connection, logging.ERROR)
    run_with_edit(
        proxy, lambda: scheduler.register(tasks.echo, "metrics", id="text", interval=3600)
    )
    assert_indexed(connection, read_hashes(connection))


def test_repairing_the_index_does_not_undo_an_enable(connection: Redis, proxy: Proxy) -> None:
    """A schedule that rq-rediscron disabled is in no index; it is enabled while that is mended."""
    World(connection)
    connection.zrem(DISABLED, "off")

    def enable(trip: RoundTrip) -> None:
        RedisCronJob.fetch("off", connection).enable()

    def is_repair(trip: RoundTrip) -> bool:
        command = arguments(trip.request)
        return b"off" in command and command[0] in (b"ZADD", b"EVALSHA")

    proxy.strike(is_repair, enable)
    reindex(Redis.from_url(proxy.url))
    proxy.raise_errors()
    assert proxy.struck, "the repair has another form now: find the moment before it writes"
    assert connection.zscore(INDEX, "off") is not None
    assert_indexed(connection, read_hashes(connection))


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("fault", [cut_before, cut_after])
def test_what_was_changed_outside_is_logged_once_though_the_leader_is_cut_off(
    connection: Redis, proxy: Proxy, fault: Fault, retries: int
) -> None:
    """Redis-py may send it again; the next leader looks again."""
    edits.create_one(connection)
    edits.foreign_queue(RedisCronJob.fetch("one", connection))
    connection.script_flush()

    def is_note(trip: RoundTrip) -> bool:
        command = arguments(trip.request)
        return command[0] == b"EVAL" and LOGGED_SINCE.encode() in command

    proxy.strike(is_note, fault)
    Victim(lead, proxy.url, retries=retries).start().wait()
    proxy.raise_errors()
    assert proxy.struck
    connection.delete(LOCK)
    RedisCronScheduler(connection, logging.ERROR).start(burst=True)
    changes = read_changes("one", connection)
    assert [(each.what, each.revision) for each in changes] == [("outside", 1), ("created", 0)]
    assert_whole(connection)


def run_with_edit(
    proxy: Proxy, edit: Callable[[], object], chosen: Callable[[RoundTrip], bool] = is_batch
) -> None:
    """One pass, and an edit after the scheduler has read a batch and before that is written."""
    proxy.strike(chosen, lambda trip: edit())
    victim = Victim(lead, proxy.url).start()
    assert victim.wait() == STOPPED, victim.error
    proxy.raise_errors()
    assert proxy.struck


def holding(id: str) -> Callable[[RoundTrip], bool]:
    """Choose the batch with this schedule."""
    return lambda trip: is_batch(trip) and id.encode() in trip.request
