"""What happens without a protection: each is taken out once, and the harm is seen.

This is what makes the other tests of this folder worth something. A script's text is changed in the
victim only; where the text has been rewritten, these tests ask for the new words.
"""

from __future__ import annotations

import signal

import pytest
from redis import Redis

from django_rediscron.core import NoSuchJobError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import INDEX, LOCK, job_key
from tests.processes import wait_until
from tests.scripts import replace

from . import edits
from .proxy import Proxy, RoundTrip, cut_after, is_batch
from .resp import arguments
from .victims import KILLED, LOCKED, STOPPED, Victim, edit, lead
from .world import World, count_jobs, count_runs, read_hashes

LOCK_CHECK = ("if call('GET', KEYS[1]) ~= ARGV[1] then return false end", "")
COMPARISON = (
    "if not unchanged(key, id, next_at, latest_at, length, text, due) then",
    "if false then",
)
EXTENSION = ("call('PEXPIRE', KEYS[1], ARGV[2])", "")

EXISTENCE = ("if not stored and not change.create then return 'NOSUCHJOB', 'was deleted' end", "")
RECOMPUTATION = ("if is_computed(change, schedule) then", "if true then")
INDEX_ENTRY = ("redis.call('ZADD', INDEX, ", "tostring(")


def is_batch_in_full(trip: RoundTrip) -> bool:
    """A batch with the text of the script: the first one that is executed."""
    return is_batch(trip) and arguments(trip.request)[0] == b"EVAL"


def test_without_the_lock_check_one_that_was_overtaken_enqueues(
    connection: Redis, proxy: Proxy
) -> None:
    World(connection)
    second = RedisCronScheduler(connection, name="second")

    def overtake(trip: RoundTrip) -> None:
        connection.delete(LOCK)
        second.register_birth()

    proxy.strike(is_batch, overtake)
    Victim(lead, proxy.url, removed=[LOCK_CHECK]).start().wait()
    assert connection.get(LOCK).startswith(b"second:")
    assert count_jobs(connection) > 0


def test_without_the_comparison_a_batch_that_is_sent_again_enqueues_twice(
    connection: Redis, proxy: Proxy
) -> None:
    world = World(connection)
    proxy.strike(is_batch_in_full, cut_after)
    victim = Victim(lead, proxy.url, retries=3, removed=[COMPARISON]).start()
    assert victim.wait() == STOPPED, victim.error
    queued = connection.lrange("rq:queue:metrics", 0, -1)
    assert len(queued) > len(set(queued))
    with pytest.raises(AssertionError):
        world.assert_survived()


def test_without_the_comparison_an_edit_is_overrun(connection: Redis, proxy: Proxy) -> None:
    World(connection)

    def move(trip: RoundTrip) -> None:
        edits.change_queue(RedisCronJob.fetch("ran 1", connection))

    proxy.strike(is_batch, move)
    Victim(lead, proxy.url, removed=[COMPARISON]).start().wait()
    assert count_runs(connection)["ran 1"] == 1
    assert connection.llen("rq:queue:edited") == 0, "it went where it was not to go any more"


def test_without_the_comparison_what_was_deleted_comes_back(
    connection: Redis, proxy: Proxy
) -> None:
    World(connection)
    proxy.strike(is_batch, lambda trip: RedisCronJob.fetch("ran 1", connection).delete())
    Victim(lead, proxy.url, removed=[COMPARISON]).start().wait()
    back = {b"latest_enqueue_time", b"next_enqueue_time"}
    assert set(connection.hkeys(job_key("ran 1"))) - {b"revision"} == back  # the log counts it


def test_without_extensions_a_long_burst_loses_its_lock(connection: Redis, proxy: Proxy) -> None:
    """Those of each batch, and those of the heartbeats between two batches."""
    World(connection)
    second = RedisCronScheduler(connection, name="second")

    def take_long(trip: RoundTrip) -> None:
        """Most of the lock's life; where it runs out, another scheduler is there."""
        enough = connection.pttl(LOCK) - 600
        wait_until(lambda: connection.pttl(LOCK) < max(0, enough))
        if not connection.exists(LOCK):
            second.register_birth()

    proxy.strike(is_batch, take_long, times=None)
    options = {"batch": 1, "lock_ttl": 1, "heartbeats": False}
    victim = Victim(lead, proxy.url, removed=[EXTENSION], **options).start()
    assert victim.wait() == LOCKED, victim.error
    assert count_jobs(connection) < 7


def test_without_the_check_of_existence_a_save_brings_back_the_dead(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(connection)
    job = RedisCronJob.fetch("later", connection)
    RedisCronJob.fetch("later", connection).delete()
    with pytest.raises(NoSuchJobError):
        edits.change_queue(job)
    replace("save", [EXISTENCE], monkeypatch.setattr)
    with connection.pipeline() as pipe:
        edits.change_queue(job, pipeline=pipe)
        pipe.execute()
    assert connection.hexists(job_key("later"), "queue_name")
    assert not connection.hexists(job_key("later"), "func_name")


def test_without_the_comparison_of_fields_the_last_editor_wins(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(connection)
    monkeypatch.setattr(RedisCronJob, "loaded_definition", lambda job: None)
    early, late = (RedisCronJob.fetch("later", connection) for _ in range(2))
    edits.change_queue(early)
    edits.change_args(late)
    assert read_hashes(connection)["later"]["queue_name"] == "metrics"


def test_without_the_recomputation_a_new_interval_waits_for_the_old_one(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(connection)
    replace("save", [RECOMPUTATION], monkeypatch.setattr)
    early, late = (RedisCronJob.fetch("off", connection) for _ in range(2))
    edits.change_interval(early)
    late.enable()
    fields = read_hashes(connection)["off"]
    assert fields["interval"] == "60"
    assert late.next_enqueue_time is not None
    assert late.updated_at is not None
    assert (late.next_enqueue_time - late.updated_at).total_seconds() > 60


def test_without_the_place_in_the_same_script_a_kill_leaves_what_never_fires(
    connection: Redis, proxy: Proxy
) -> None:
    """As an editor that writes the hash first and the index then, in a command of its own."""
    victim = Victim(edit, proxy.url, how=create_in_two_steps, removed=[INDEX_ENTRY])

    def kill(trip: RoundTrip) -> None:
        victim.send(signal.SIGKILL)
        trip.cut()

    proxy.strike(lambda trip: arguments(trip.request)[0] == b"ZADD", kill)
    assert victim.start().wait() == KILLED
    assert read_hashes(connection)["one"]["enabled"] == "1"
    assert connection.zscore(INDEX, "one") is None


def create_in_two_steps(connection: Redis) -> None:
    edits.create_one(connection)
    connection.zadd(INDEX, {"one": 1.0})
