"""Schedules to do harm to, and what must hold of them whatever was done."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from rq.utils import now, utcparse

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import (
    DISABLED,
    ERRORS,
    INDEX,
    JOB_PREFIX,
    LOCK,
    OFF_FIELDS,
    RUNTIME_FIELDS,
    history_key,
    job_key,
)
from django_rediscron.core.timing.cron_times import next_cron_time, occurrence_delay, utc_text
from tests import tasks

UTC = timezone.utc

REQUIRED = {"id", "func_name", "queue_name", "enabled", "created_at", "next_enqueue_time"}
"""Fields of every schedule; one without any of them is half-written."""

DEFAULTS = {
    **dict.fromkeys(("interval", "cron", "job_timeout", "ttl", "failure_ttl"), ""),
    "args": "[]",
    "kwargs": "{}",
    "meta": "{}",
    "result_ttl": "500",
    "latest_enqueue_time": "",
    "updated_at": "",
    "revision": "0",
}
"""What a hash that lacks a field says."""

BATCHES = (("cron 1", "cron 2", "ran 1"), ("ran 2", "new 1", "new 2"), ("new elsewhere",))
"""In which batches of three the due ones are read: the oldest first."""

NOT_DEFINED = (*RUNTIME_FIELDS, *OFF_FIELDS, "revision", "updated_at")

NEW_YEAR = "0 0 1 1 *"
"""A cron expression that does not come due in the middle of a test."""


class World:
    """Schedules of all kinds in an empty database, seven of them due, once until tomorrow."""

    def __init__(self, connection: Redis) -> None:
        self.connection = connection
        connection.flushdb()
        connection.script_flush()  # so that every pass takes the same round trips
        moment = datetime.now(UTC)
        hour = timedelta(hours=1)
        new_year = moment.astimezone().replace(
            month=1, day=1, hour=0, minute=0, second=0, microsecond=0
        )
        self._add("new 1", interval=86400)
        self._add("new 2", interval=86400)
        self._add("new elsewhere", interval=86400, queue_name="other")
        for id in ("ran 1", "ran 2"):
            self._add(id, interval=86400, latest_enqueue_time=moment - 25 * hour,
                      next_enqueue_time=moment - hour)  # fmt: skip
        for id in ("cron 1", "cron 2"):
            self._add(id, cron=NEW_YEAR, latest_enqueue_time=new_year - 365 * 24 * hour,
                      next_enqueue_time=new_year)  # fmt: skip
        self.due = {
            id: fields["next_enqueue_time"] for id, fields in read_hashes(connection).items()
        }
        self._add("later", interval=86400, latest_enqueue_time=moment,
                  next_enqueue_time=moment + hour)  # fmt: skip
        self._add("off", interval=86400, latest_enqueue_time=moment - 25 * hour,
                  next_enqueue_time=moment - hour, enabled=False)  # fmt: skip
        self.definitions = read_definitions(connection)
        self.expected_runs = {id: int(id in self.due) for id in self.definitions}

    def _add(self, id: str, *, queue_name: str = "metrics", **options: Any) -> None:
        connection = self.connection
        RedisCronJob(id, queue_name, tasks.echo, connection=connection, **options).save()

    def clean_pass(self) -> None:
        """What a scheduler does that nobody disturbs, when the lock of a dead one has expired."""
        self.connection.delete(LOCK)
        RedisCronScheduler(self.connection, logging.ERROR, "clean").start(burst=True)

    def make_due(self, id: str) -> None:
        """Once more, as if the time had come."""
        job = RedisCronJob.fetch(id, self.connection)
        text = utc_text(now())
        self.connection.hset(job.key, "next_enqueue_time", text)
        self.connection.zadd(INDEX, {id: epoch(text)})

    def assert_survived(self) -> None:
        """Whole at once; after a clean pass, every occurrence was enqueued, and none twice."""
        assert_whole(self.connection)
        self.clean_pass()
        assert_whole(self.connection)
        self.assert_each_ran_once()

    def assert_each_ran_once(self) -> None:
        """Every due schedule was enqueued once, and stands for its nominal time."""
        assert count_runs(self.connection) == self.expected_runs
        hashes = read_hashes(self.connection)
        assert {id: hashes[id]["latest_enqueue_time"] for id in self.due} == self.due
        assert read_definitions(self.connection) == self.definitions


def count_runs(connection: Redis) -> dict[str, int]:
    """How often each schedule ran."""
    return {id: connection.zcard(history_key(id)) for id in read_hashes(connection)}


def read_definitions(connection: Redis) -> dict[str, dict[str, str]]:
    """What people wrote of all schedules, by id, without their traces."""
    return {
        id: {name: value for name, value in fields.items() if name not in NOT_DEFINED}
        for id, fields in read_hashes(connection).items()
    }


def count_jobs(connection: Redis) -> int:
    """RQ jobs that exist, in whatever queue."""
    return sum(1 for _ in connection.scan_iter(match="rq:job:*", count=1000))


def read_hashes(connection: Redis) -> dict[str, dict[str, str]]:
    """All schedules by id, with defaults for the fields that they lack."""
    keys = connection.scan_iter(match=f"{JOB_PREFIX}*", count=1000, _type="hash")
    return {key.decode()[len(JOB_PREFIX) :]: _read(connection, key) for key in keys}


def assert_whole(connection: Redis) -> None:
    """No half-written hash; hash and index agree; histories, jobs and queues agree."""
    hashes = read_hashes(connection)
    for id, fields in hashes.items():
        required = REQUIRED - ({"next_enqueue_time"} if "finished_at" in fields else set())
        assert fields.keys() >= required, f"{id!r} is half-written: {sorted(fields)}"
        assert fields["id"] == id
        assert bool(fields["interval"]) != bool(fields["cron"]), f"{id!r} is half-written"
    assert_indexed(connection, hashes)
    assert_jobs_agree(connection, hashes)


def assert_indexed(connection: Redis, hashes: dict[str, dict[str, str]]) -> None:
    """An enabled schedule waits in the index for its next time, all others in the other one."""
    index = _places(connection, INDEX)
    disabled = _places(connection, DISABLED)
    waiting = {id for id, fields in hashes.items() if _waits(fields)}
    assert index.keys() == waiting
    assert disabled.keys() == hashes.keys() - waiting
    for id, place in index.items():
        following = hashes[id]["next_enqueue_time"]
        delay = occurrence_delay(id, utcparse(following), float(hashes[id].get("jitter", 0)))
        expected = pytest.approx(epoch(following) + delay, abs=1e-5)
        assert place == expected, f"{id!r} is due at {following}"


def _waits(fields: dict[str, str]) -> bool:
    return fields["enabled"] == "1" and "finished_at" not in fields


def assert_jobs_agree(connection: Redis, ids: Iterable[str]) -> None:
    """Every job is whole, in one history and once in its queue, and nothing else is there."""
    entries = (entry for id in ids for entry in connection.zrange(history_key(id), 0, -1))
    histories = Counter(_ids(entries))
    queues = connection.smembers("rq:queues")
    queued = Counter(_ids(job for key in queues for job in connection.lrange(key, 0, -1)))
    jobs = {
        key.decode().rpartition(":")[2]
        for key in connection.scan_iter(match="rq:job:*", count=1000)
    }
    assert set(histories.values()) <= {1}
    assert set(queued.values()) <= {1}, f"queued twice: {queued}"
    assert histories.keys() == queued.keys() == jobs, "histories, queues and jobs"
    for job_id in jobs:
        job = Job.fetch(job_id, connection=connection)
        assert job.func_name == "tests.tasks.echo"
        assert job.get_status(refresh=False) == "queued"
        assert job.created_at is not None
        assert job.enqueued_at is not None
        assert job_id.encode() in connection.lrange(f"rq:queue:{job.origin}", 0, -1)


def assert_timed_from_now(connection: Redis, id: str) -> None:
    """An enabled schedule's next time is one of its own interval or expression, and to come."""
    fields = read_hashes(connection)[id]
    if fields["enabled"] == "0":
        return
    following = utcparse(fields["next_enqueue_time"])
    if fields["cron"]:
        assert following == next_cron_time(fields["cron"], now())
    else:
        assert timedelta(0) < following - now() <= timedelta(seconds=int(fields["interval"]))


def assert_absent(connection: Redis, id: str) -> None:
    """Nothing is left of a schedule."""
    assert not connection.exists(job_key(id))
    assert not connection.exists(history_key(id))
    for index in (INDEX, DISABLED, ERRORS):
        assert connection.zscore(index, id) is None, index


def epoch(text: str) -> float:
    """RQ's UTC text as epoch seconds."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()


def _read(connection: Redis, key: bytes) -> dict[str, str]:
    stored = connection.hgetall(key)
    return {**DEFAULTS, **{name.decode(): value.decode() for name, value in stored.items()}}


def _places(connection: Redis, key: str) -> dict[str, float]:
    return {id.decode(): score for id, score in connection.zrange(key, 0, -1, withscores=True)}


def _ids(raw: Iterable[bytes]) -> Iterable[str]:
    return (id.decode() for id in raw)
