"""One pass: once per occurrence, on the grid, and one bad schedule harms only itself."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Callback, Queue, Retry, SimpleWorker
from rq.job import Job

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import batch, protocol
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.dispatch.dispatcher import Dispatcher
from django_rediscron.core.dispatch.protocol import LockLostError
from django_rediscron.core.dispatch.template import create_job
from django_rediscron.core.store import reading
from django_rediscron.core.store.keys import DISABLED, INDEX, LOCK
from django_rediscron.core.store.scripts import run_script
from tests import tasks
from tests.damage import DAMAGE

UTC = timezone.utc


def register(scheduler: RedisCronScheduler, id: str = "visits", **options: Any) -> RedisCronJob:
    timing = {} if "cron" in options else {"interval": 300}
    return scheduler.register(tasks.echo, "metrics", id=id, **{**timing, **options})


def make_due(connection: Redis, id: str, ago: float) -> datetime:
    """Let a schedule be due since `ago` seconds, as if the clock had gone on."""
    due = (datetime.now(UTC) - timedelta(seconds=ago)).replace(microsecond=0)
    connection.hset(f"rq:cron_job:{id}", "next_enqueue_time", due.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    connection.zadd(INDEX, {id: due.timestamp()})
    return due


def stored(connection: Redis, id: str = "visits") -> RedisCronJob:
    return RedisCronJob.fetch(id, connection)


def test_an_interval_runs_at_once_and_then_stays_on_its_grid(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    created = register(leader).created_at
    assert created is not None
    assert [job.id for job in leader.enqueue_jobs()] == ["visits"]
    assert leader.enqueue_jobs() == []
    job = stored(connection)
    assert job.latest_enqueue_time == created
    assert job.next_enqueue_time == created + timedelta(seconds=300)

    due = make_due(connection, "visits", ago=1000)  # three more occurrences have passed
    assert len(leader.enqueue_jobs()) == 1
    job = stored(connection)
    assert job.latest_enqueue_time == due + timedelta(seconds=900)
    assert job.next_enqueue_time == due + timedelta(seconds=1200)
    assert connection.zscore(INDEX, "visits") == job.next_enqueue_time.timestamp()
    assert connection.llen("rq:queue:metrics") == 2


def test_a_cron_expression_goes_on_from_the_present(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    register(leader, cron="0 * * * *")
    assert leader.enqueue_jobs() == []
    make_due(connection, "visits", ago=3 * 3600)
    assert len(leader.enqueue_jobs()) == 1
    job = stored(connection)
    now = datetime.now(UTC)
    assert job.latest_enqueue_time is not None
    assert job.next_enqueue_time is not None
    assert timedelta(0) <= now - job.latest_enqueue_time < timedelta(hours=1)
    assert timedelta(0) < job.next_enqueue_time - now <= timedelta(hours=1)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"retry": Retry(max=3, interval=[10, 30])},
    {"retry": 2, "description": "The report of \u00fcber"},
    {
        "on_success": "tests.tasks.succeeded",
        "on_failure": Callback(tasks.failed, timeout=7),
        "on_stopped": tasks.stopped,
    },
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_job_is_written_as_rq_itself_writes_it(
    connection: Redis, leader: RedisCronScheduler, options: dict[str, Any]
) -> None:
    schedule = register(
        leader,
        args=("a", 1),
        kwargs={"job_timeout": 5, "meta": 1, "description": "x"},
        job_timeout=77,
        result_ttl=0,
        ttl=900,
        failure_ttl=60,
        meta={"team": "billing"},
        **options,
    )
    leader.enqueue_jobs()
    (ours,) = connection.lrange("rq:queue:metrics", 0, -1)
    before = set(connection.keys("*"))
    queue = Queue("metrics", connection=connection)
    rqs = queue.enqueue_job(create_job(schedule, queue)).id.encode()

    assert set(connection.keys("*")) - before == {b"rq:job:" + rqs}
    assert connection.lrange("rq:queue:metrics", 0, -1) == [ours, rqs]
    hashes = [connection.hgetall(b"rq:job:" + id) for id in (ours, rqs)]
    for hash in hashes:
        for field in (b"created_at", b"enqueued_at"):
            assert datetime.strptime(hash.pop(field).decode(), "%Y-%m-%dT%H:%M:%S.%fZ")
    assert hashes[0].pop(b"schedule_id") == b"visits"
    assert hashes[0].pop(b"occurrence") == connection.hget(schedule.key, "latest_enqueue_time")
    assert hashes[0] == hashes[1]
    assert connection.ttl(b"rq:job:" + ours) == pytest.approx(900, abs=2)
    assert connection.smembers("rq:queues") == {b"rq:queue:metrics"}


def test_jobs_of_like_schedules_differ_as_rq_makes_them_differ(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    """What they have in common is made once in a pass; each must still be all its own."""
    schedules = [
        register(leader, "plain"),
        register(leader, "args", args=("a", [1])),
        register(leader, "kwargs", kwargs={"b": None}, cron="* * * * * *"),
        register(leader, "timeout", job_timeout=9),
        register(leader, "ttl", ttl=9, failure_ttl=0),
        leader.register(tasks.Reports.static, "other", id="other", interval=5),
        register(leader, "retry", retry=3),
        register(leader, "described", description="of its own"),
        register(leader, "told", on_failure="tests.tasks.failed"),
        register(leader, "front", at_front=True),
    ]
    make_due(connection, "kwargs", ago=0)
    for _ in range(2):  # read, then remembered
        assert len(leader.enqueue_jobs()) == len(schedules)
        for schedule in schedules:
            job_id = schedule.get_job_ids(connection)[0]
            queue = Queue(schedule.queue_name, connection=connection)
            rqs = {
                name.encode(): value if isinstance(value, bytes) else str(value).encode()
                for name, value in create_job(schedule, queue).to_dict().items()
            }
            ours = connection.hgetall(f"rq:job:{job_id}")
            for name in (b"created_at", b"enqueued_at", b"status", b"schedule_id", b"occurrence"):
                assert ours.pop(name)
                rqs.pop(name, None)
            assert ours == rqs
            make_due(connection, schedule.id, ago=1)


def test_jobs_go_to_the_front_of_the_queue_the_oldest_first(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    schedules = [register(leader, id, at_front=id != "plain") for id in ("plain", "a", "b")]
    for schedule, ago in zip(schedules, (30, 20, 10), strict=True):
        make_due(connection, schedule.id, ago=ago)
    connection.rpush("rq:queue:metrics", "waiting")
    leader.enqueue_jobs()
    plain, a, b = (schedule.get_job_ids(connection)[0].encode() for schedule in schedules)
    assert connection.lrange("rq:queue:metrics", 0, -1) == [a, b, b"waiting", plain]
    now = schedules[1].enqueue(connection).id.encode()
    assert connection.lindex("rq:queue:metrics", 0) == now


def test_workers_get_the_arguments_as_given(connection: Redis, leader: RedisCronScheduler) -> None:
    kwargs = {"job_timeout": 5, "meta": 1, "description": "x", "result_ttl": 1, "queue_name": "y"}
    schedule = register(leader, args=(1, [2, {"c": None}]), kwargs=kwargs)
    leader.enqueue_jobs()
    SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(burst=True)
    (job_id,) = schedule.get_job_ids(connection)
    result = Job.fetch(job_id, connection=connection).return_value()
    assert result == {"args": [1, [2, {"c": None}]], "kwargs": kwargs}


def test_enqueue_runs_one_more_job_and_leaves_the_schedule_alone(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    schedule = register(leader, cron="0 0 1 1 *", args=("now",))
    before = connection.hgetall(schedule.key)
    job = stored(connection).enqueue(connection)
    assert connection.lrange("rq:queue:metrics", 0, -1) == [job.id.encode()]
    assert schedule.get_job_ids(connection) == [job.id]
    assert connection.hgetall(schedule.key) == before


def test_nothing_is_enqueued_without_the_lock(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    register(leader)
    for holder in ("another:token", ""):
        connection.delete(LOCK)
        if holder:
            connection.set(LOCK, holder)
        assert leader.enqueue_jobs() == []
        with pytest.raises(LockLostError):
            list(leader._dispatcher.enqueue_due(leader._session.token, 30))
    assert RedisCronScheduler(connection).enqueue_jobs() == []
    assert connection.keys("rq:job:*") == []


def test_an_edit_between_read_and_write_is_left_for_the_next_pass(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each edit comes after the schedule was read and before the script; the others go through."""
    edits = {
        "queue": lambda: set_and_save(connection, "queue", queue_name="other"),
        "args": lambda: set_and_save(connection, "args", args=(9,)),
        "interval": lambda: set_and_save(connection, "interval", interval=60),
        "disable": lambda: stored(connection, "disable").disable(),
        "delete": lambda: stored(connection, "delete").delete(),
        # what rq-rediscron does: no revision, but updated_at
        "foreign": lambda: connection.hset(
            "rq:cron_job:foreign",
            mapping={"queue_name": "foreign", "updated_at": "2026-01-01T00:00:00.000000Z"},
        ),
    }
    for id in (*edits, "untouched"):
        register(leader, id)

    def edit_first(*call: Any) -> Any:
        for edit in edits.values():
            edit()
        edits.clear()
        return run_script(*call)

    monkeypatch.setattr(protocol, "run_script", edit_first)
    assert [job.id for job in leader.enqueue_jobs()] == ["untouched"]
    assert connection.keys("rq:queue:*") == [b"rq:queue:metrics"]
    second = {job.id: job for job in leader.enqueue_jobs()}
    assert set(second) == {"queue", "args", "foreign", "interval"}
    assert second["queue"].queue_name == "other"
    assert second["args"].args == (9,)
    assert connection.llen("rq:queue:other") == connection.llen("rq:queue:foreign") == 1
    assert not connection.exists("rq:cron_job:delete")
    assert connection.zscore(INDEX, "disable") is None


def set_and_save(connection: Redis, id: str, **attributes: Any) -> None:
    job = stored(connection, id)
    for name, value in attributes.items():
        setattr(job, name, value)
    job.save()


def test_a_batch_that_is_sent_twice_enqueues_once_and_says_so(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As redis-py does when the reply to a script was lost."""
    register(leader)

    def lose_reply(*call: Any) -> Any:
        run_script(*call)
        return run_script(*call)

    monkeypatch.setattr(protocol, "run_script", lose_reply)
    assert [job.id for job in leader.enqueue_jobs()] == ["visits"]
    assert connection.llen("rq:queue:metrics") == 1
    assert connection.zcard("rq:cron_job:visits:jobs") == 1


def test_two_dispatchers_that_both_believe_to_lead_enqueue_once(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the schedule as due before either writes; both show the same token."""
    leader = RedisCronScheduler(connection, name="leader")
    leader.register_birth()
    register(leader)
    first, second = Dispatcher(connection), Dispatcher(connection)
    token = leader._session.token

    def other_first(*call: Any) -> Any:
        monkeypatch.setattr(protocol, "run_script", run_script)
        assert [len(part) for part in first.enqueue_due(token, 30)] == [1]
        return run_script(*call)

    monkeypatch.setattr(protocol, "run_script", other_first)
    assert [len(part) for part in second.enqueue_due(token, 30)] == [0]
    assert connection.llen("rq:queue:metrics") == 1


def test_damaged_schedules_harm_only_themselves(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    for number, (id, damage) in enumerate(DAMAGE.items()):
        register(leader, id)
        register(leader, f"good {number}")
        damage(connection, f"rq:cron_job:{id}")
    for id in ("a string", "a list"):
        register(leader, id)
        connection.delete(f"rq:cron_job:{id}")
    connection.set("rq:cron_job:a string", "x")
    connection.rpush("rq:cron_job:a list", "x")

    enqueued = leader.enqueue_jobs()
    assert {job.id for job in enqueued} == {f"good {n}" for n in range(len(DAMAGE))}
    for id in DAMAGE:
        error, at = connection.hmget(f"rq:cron_job:{id}", "last_error", "last_error_at")
        assert error, id
        assert at, id
        assert connection.zscore(INDEX, id) > datetime.now().timestamp(), "retried later"
    assert leader.calculate_sleep_interval() > 0

    listed = {job.id for job in leader.get_all_jobs()}
    assert {f"good {n}" for n in range(len(DAMAGE))} <= listed
    for id in DAMAGE:  # editing heals, and makes it run at once
        register(leader, id)
    for id in ("a string", "a list"):
        register(leader, id)
    assert {job.id for job in leader.enqueue_jobs()} == {*DAMAGE, "a string", "a list"}
    for id in DAMAGE:
        assert connection.hmget(f"rq:cron_job:{id}", "last_error", "last_error_at") == [None, None]


def test_damage_is_seen_where_a_schedule_has_run_before(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is remembered from its run before, and read again all the same."""
    for number, id in enumerate(DAMAGE):
        register(leader, id)
        register(leader, f"good {number}")
    assert len(leader.enqueue_jobs()) == 2 * len(DAMAGE)
    for id, damage in DAMAGE.items():
        damage(connection, f"rq:cron_job:{id}")
    go_on(monkeypatch, seconds=301)
    good = {f"good {n}" for n in range(len(DAMAGE))}
    enqueued = {job.id for job in leader.enqueue_jobs()}
    healed = {"bad latest date", "a month that is none"}  # the run itself replaces that time
    assert enqueued == good | healed
    for id in DAMAGE.keys() - healed:
        assert connection.hget(f"rq:cron_job:{id}", "last_error"), id


def test_a_change_by_hand_counts_at_once(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by redis-cli, which tells nobody, and raises no revision."""
    for id in ("other queue", "off", "same"):
        register(leader, id)
    leader.enqueue_jobs()
    connection.hset("rq:cron_job:other queue", "queue_name", "mail")
    connection.hset("rq:cron_job:off", "enabled", "0")
    go_on(monkeypatch, seconds=301)
    assert {(job.id, job.queue_name) for job in leader.enqueue_jobs()} == {
        ("other queue", "mail"),
        ("same", "metrics"),
    }
    assert connection.zscore(INDEX, "off") is None


@pytest.mark.parametrize("removed", ["ttl", "latest_enqueue_time"])
def test_a_value_that_moves_to_another_field_by_hand_counts(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch, removed: str
) -> None:
    register(leader)
    leader.enqueue_jobs()
    key = "rq:cron_job:visits"
    if removed == "ttl":
        connection.hset(key, "ttl", "77")
        go_on(monkeypatch, seconds=301)
        leader.enqueue_jobs()
    connection.hdel(key, removed)
    connection.hset(key, "failure_ttl", "77")
    go_on(monkeypatch, seconds=602)
    (job,) = leader.enqueue_jobs()
    assert (job.job_options["ttl"], job.job_options["failure_ttl"]) == (None, 77)


PADDING = {f"theirs {number}": 60 * "x" for number in range(10)}

LINES = {
    "two fields become one": (
        {"description": "a", "ttl": "77"},
        {"description": "a\nttl\n77"},
    ),
    "one field becomes two": (
        {"description": "a\nttl\n77"},
        {"description": "a", "ttl": "77"},
    ),
    "a part of one goes to the other": (
        {"description": "a\ntheirs\nb", "theirs": "c"},
        {"description": "a", "theirs": "b\ntheirs\nc"},
    ),
    "with whatever separates them": (
        {"description": "a\n0theirs\n0b", "theirs": "c"},
        {"description": "a", "theirs": "b\n0theirs\n0c"},
    ),
    "of more than is compared as it is": (
        {**PADDING, "description": "a", "ttl": "77"},
        {**PADDING, "description": "a\nttl\n77"},
    ),
}


@pytest.mark.parametrize(("before", "after"), LINES.values(), ids=LINES)
def test_line_breaks_in_values_hide_no_change_by_hand(
    connection: Redis,
    leader: RedisCronScheduler,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, str],
    after: dict[str, str],
) -> None:
    register(leader)
    leader.enqueue_jobs()
    key = "rq:cron_job:visits"
    connection.hset(key, mapping=before)  # behind all other fields
    for seconds in (301, 602, 903):  # it is remembered as it is
        go_on(monkeypatch, seconds)
        (job,) = leader.enqueue_jobs()
        assert job.job_options["description"] == before["description"]
    connection.hdel(key, *before)
    connection.hset(key, mapping=after)
    go_on(monkeypatch, seconds=1204)
    (job,) = leader.enqueue_jobs()
    assert job.job_options["description"] == after["description"]
    assert job.job_options["ttl"] == (77 if "ttl" in after else None)


def test_a_schedule_with_line_breaks_is_remembered(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read when it is new, and perhaps after its first run: no more."""
    register(leader, description="of two\nlines")
    reads = []

    def count(*call: Any) -> Any:
        reads.append(call)
        return run_script(*call)

    monkeypatch.setattr(reading, "run_script", count)
    for number in range(6):
        assert len(leader.enqueue_jobs()) == 1
        go_on(monkeypatch, seconds=301 * (number + 1))
    assert len(reads) <= 2


def test_another_schedule_of_the_same_birth_is_another_one(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a program that restores schedules keeps what they said of their creation."""
    birth = datetime(2026, 1, 1, tzinfo=UTC)
    following = None
    for number, text in enumerate(("old", "new"), 1):
        job = RedisCronJob("one", "metrics", tasks.echo, args=(text,), cron="* * * * *",
                           created_at=birth, next_enqueue_time=following)  # fmt: skip
        job.connection = connection
        job.delete()
        job.save()
        go_on(monkeypatch, seconds=120 * number)
        assert [job.args for job in leader.enqueue_jobs()] == [(text,)]
        following = stored(connection, "one").next_enqueue_time


def go_on(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clocks of passes be ahead."""
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + seconds)
    for module in (dispatch, batch):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))


def test_a_field_of_somebody_else_is_no_damage(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    register(leader)
    fields = {b"\xff": b"\xfe", "theirs": b"\xff", "place": b"\xff"}
    connection.hset("rq:cron_job:visits", mapping=fields)
    assert [job.id for job in leader.get_all_jobs()] == ["visits"]
    assert [job.id for job in leader.enqueue_jobs()] == ["visits"]


def test_keys_of_the_wrong_type_block_only_their_schedule(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    connection.set("rq:cron_job:history:jobs", "not a sorted set")
    connection.set("rq:queue:taken", "not a list")
    leader.register(tasks.echo, "metrics", id="history", interval=300)
    leader.register(tasks.echo, "taken", id="queue", interval=300)
    register(leader, "good")
    assert [job.id for job in leader.enqueue_jobs()] == ["good"]
    assert "sorted set" in (stored(connection, "history").last_error or "")
    assert "list" in (stored(connection, "queue").last_error or "")
    assert len(connection.keys("rq:job:*")) == 1
    connection.delete("rq:cron_job:history:jobs", "rq:queue:taken")
    for id in ("history", "queue"):
        make_due(connection, id, ago=1)
    assert {job.id for job in leader.enqueue_jobs()} == {"history", "queue"}
    assert stored(connection, "queue").last_error is None


def test_hash_and_index_are_brought_to_agree(connection: Redis, leader: RedisCronScheduler) -> None:
    """The hash counts, whatever somebody made of the index."""
    early = register(leader, "early", cron="0 0 1 1 *")
    register(leader, "disabled", enabled=False)
    now = datetime.now().timestamp()
    connection.zadd(INDEX, {"early": now - 5, "disabled": now - 5, "gone": now - 5})
    assert leader.enqueue_jobs() == []
    assert early.next_enqueue_time is not None
    assert connection.zscore(INDEX, "early") == early.next_enqueue_time.timestamp()
    assert connection.zscore(INDEX, "disabled") is None
    assert connection.zscore(DISABLED, "disabled") is not None
    assert connection.zscore(INDEX, "gone") is None


def test_names_of_rqs_own_cron_are_left_alone(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    """RQ 2.12 and later keep a registry of names in the same sorted set, scored in the past."""
    register(leader)
    for number in range(300):
        connection.zadd(INDEX, {f"app.tasks.job{number}": 1_700_000_000 + number})
        connection.zadd(f"rq:cron_job:app.tasks.job{number}:jobs", {"some-job": 1_700_000_000})
    assert [job.id for job in leader.enqueue_jobs()] == ["visits"]
    assert connection.zcard(INDEX) == 301
    assert leader.calculate_sleep_interval() > 1
    assert [job.id for job in leader.get_jobs()] == ["visits"]
    assert connection.zcard(INDEX) == 301


def test_a_history_keeps_the_newest_thousand(connection: Redis, leader: RedisCronScheduler) -> None:
    register(leader, interval=1)
    history = "rq:cron_job:visits:jobs"
    connection.zadd(history, {f"old {number}": number for number in range(1, 950)})
    for _ in range(120):
        make_due(connection, "visits", ago=1)
        assert len(leader.enqueue_jobs()) == 1
        assert connection.zcard(history) <= 1000
    newest = connection.zrange(history, 0, -1)
    assert len(newest) == 1000
    assert newest[0] == b"old 70"
    assert connection.ttl(history) == pytest.approx(365 * 86400, abs=60)
