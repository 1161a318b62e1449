"""The log of changes: who changed which field of a schedule, when, and what it was before."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from django_rediscron import (
    InvalidScheduleError,
    LoggedChange,
    NoSuchJobError,
    RedisCronJob,
    RedisCronScheduler,
    ScheduleChangedError,
    ScheduleLockedError,
    acting_as,
    read_deleted,
    register,
    revert,
)
from django_rediscron.cli.verb import command_line_actor
from django_rediscron.core.schedule.codec import LEFT_OUT
from django_rediscron.core.store.actors import current_actor
from django_rediscron.core.store.keys import (
    CHANGES_KEPT,
    CHANGES_TTL,
    EVENTS,
    GONE,
    INDEX,
    LAST_UPDATE,
    LOCK,
    LOGGED_SINCE,
    UNLOGGED_FIELDS,
    changes_key,
    job_key,
    outcomes_key,
)
from django_rediscron.core.store.saving import save_changes
from django_rediscron.core.story import outside, reverting
from django_rediscron.core.story.changes import (
    ChangeLog,
    definition_of,
    read_changes,
    read_log,
)
from django_rediscron.core.story.gone import count_deleted
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.sync import declarations as declared_module
from django_rediscron.sync import reset, sync
from tests import tasks
from tests.processes import next_job_id, running_scheduler, wait_until

HOUR = timedelta(hours=1)
NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)


def hours(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def make(connection: Redis, id: str = "a", **options: Any) -> RedisCronJob:
    options.setdefault("interval", 60)
    return RedisCronJob(id, "default", tasks.echo, connection=connection, **options)


def fetch(connection: Redis) -> RedisCronJob:
    return RedisCronJob.fetch("a", connection)


def told(connection: Redis, id: str = "a") -> list[tuple[str, str, int, dict[str, Any]]]:
    """Actor, deed, revision and fields of each change, oldest first."""
    changes = reversed(read_changes(id, connection))
    return [(each.actor, each.what, each.revision, dict(each.fields)) for each in changes]


# What is logged


def test_each_change_tells_who_did_what(connection: Redis) -> None:
    """By whatever method, alone or in a pipeline."""
    make(connection, args=(1,)).save(actor="amy")
    job = fetch(connection)
    job.interval, job.cron, job.args = None, "0 5 * * *", ()
    job.save(actor="bob")
    job.disable(actor="cat")
    with acting_as("dan"), connection.pipeline() as pipe:
        job.enable(pipeline=pipe)
        pipe.execute()
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "reports", "a", cron="0 5 * * *", max_runs=3, actor="eve")
    job.delete(actor="fay")
    scheduler.register_many([make(connection), make(connection, "b")], actor="gus")
    gone = {"func_name": "tests.tasks.echo", "queue_name": "reports", "cron": "0 5 * * *",
            "max_runs": "3", "enabled": "1"}  # fmt: skip
    timing = {"interval": ("60", None), "cron": (None, "0 5 * * *")}
    assert told(connection) == [
        ("amy", "created", 0, {}),
        ("bob", "updated", 1, {**timing, "args": ("[1]", None)}),
        ("cat", "disabled", 2, {"enabled": ("1", "0")}),
        ("dan", "enabled", 3, {"enabled": ("0", "1")}),
        ("eve", "updated", 4, {"queue_name": ("default", "reports"), "max_runs": (None, "3")}),
        ("fay", "deleted", 5, {name: (text, None) for name, text in gone.items()}),
        ("gus", "created", 0, {}),
    ]
    assert told(connection, "b") == [("gus", "created", 0, {})]
    assert CHANGES_TTL - 60 < connection.ttl(changes_key("a")) <= CHANGES_TTL
    assert [each.what for each in job.get_changes(connection, 1, 2)] == ["deleted", "updated"]


def test_what_changes_nothing_is_not_logged(connection: Redis) -> None:
    make(connection).save(actor="amy")
    job = fetch(connection)
    job.save(actor="bob")
    job.enable(actor="bob")
    job.set_enqueue_time(NOON)
    RedisCronScheduler(connection).start(burst=True)
    assert told(connection) == [("amy", "created", 0, {})]
    RedisCronJob("none", "q", tasks.echo, interval=1, connection=connection).delete()
    assert not connection.exists(changes_key("none"))


def test_a_switch_is_called_so_however_it_was_made(connection: Redis) -> None:
    make(connection).save(actor="amy")
    job = fetch(connection)
    job.enabled = False
    job.save(actor="bob")
    job.enabled, job.args = True, (1,)
    job.save(actor="bob")
    assert [what for _, what, _, _ in told(connection)] == ["created", "disabled", "updated"]


def deploy(*ids: str, locked: bool = False, **options: Any) -> None:
    """Start a release that declares these schedules, and sync."""
    declared_module._declared.clear()
    for id in ids:
        register(tasks.echo, "default", id, interval=600, args=(len(ids),), locked=locked)
    sync("default", **options)


def test_what_the_code_declares_is_changed_by_the_code(connection: Redis, starting: None) -> None:
    make(connection, interval=600, args=(1,), max_runs=5).save(actor="amy")
    deploy("a")
    deploy("a", "b")
    fetch(connection).disable(actor="bob")
    fetch(connection).reset("enabled", actor="bob")
    job = fetch(connection)
    job.max_runs = 7
    job.save(actor="bob")
    with acting_as("cat"):
        reset("a", ["max_runs"])
    deploy("b")
    deploy("b", disable_orphans=True)
    deploy("b", prune=True)
    assert [(actor, what) for actor, what, _, _ in told(connection)] == [
        ("amy", "created"),
        ("code:tests.settings", "synced"),
        ("code:tests.settings", "synced"),
        ("bob", "disabled"),
        ("bob", "reset"),
        ("bob", "updated"),
        ("cat", "reset"),
        ("code:tests.settings", "disabled"),
        ("code:tests.settings", "deleted"),
    ]
    assert told(connection)[1][3]["source"] == (None, "code")
    reasons = [each.reason for each in read_changes("a", connection)]
    assert reasons == [*["no longer declared"] * 2, *[""] * 7]
    assert [what for _, what, _, _ in told(connection, "b")] == ["created", "synced"]


def test_a_locked_schedule_that_is_no_longer_declared_was_disabled(
    connection: Redis, starting: None
) -> None:
    """Though it is unlocked as well; if it goes on running, only that is told."""
    for disable, what in ((True, "disabled"), (False, "synced")):
        connection.flushdb()
        deploy("a", locked=True)
        deploy("b", disable_orphans=disable)
        newest = read_changes("a", connection)[0]
        assert (newest.what, newest.reason) == (what, "no longer declared")
        assert newest.fields["locked"] == ("1", None)


def test_that_code_begins_to_declare_it_is_a_change_though_nothing_else_is(
    connection: Redis, starting: None
) -> None:
    """Else that would look as if it had been done outside."""
    make(connection, interval=600, args=(1,)).save()
    deploy("a")
    source = {"source": (None, "code"), "application": (None, "tests.settings")}
    assert told(connection)[1:] == [("code:tests.settings", "synced", 0, source)]
    fetch(connection).disable()
    assert [what for _, what, _, _ in told(connection)] == ["created", "synced", "disabled"]


@pytest.mark.parametrize("log", [b"text", [b"no JSON"], [b"[1]", b"2"], [b'{"x":1e999}'], {"a": 1}])
def test_a_log_that_is_none_blocks_no_change_and_is_replaced(connection: Redis, log: Any) -> None:
    make(connection).save(actor="amy")
    key = changes_key("a")
    connection.delete(key)
    if isinstance(log, dict):
        connection.hset(key, mapping=log)
    elif isinstance(log, list):
        connection.rpush(key, *log)
    else:
        connection.set(key, log)
    fetch(connection).disable(actor="bob")
    assert told(connection) == [("bob", "disabled", 1, {"enabled": ("1", "0")})]
    assert fetch(connection).enabled is False


@pytest.mark.parametrize("revision", ["inf", "nan", "1e999", "-5", "x"])
def test_a_revision_that_is_no_number_blocks_no_change(connection: Redis, revision: str) -> None:
    make(connection).save()
    connection.hset(job_key("a"), "revision", revision)
    make(connection).delete(actor="amy")
    assert not connection.exists(job_key("a"))
    assert connection.zscore(INDEX, "a") is None
    assert [what for _, what, _, _ in told(connection)] == ["created", "deleted"]
    connection.lset(changes_key("a"), 1, b'{"revision":1e999}')
    connection.lset(changes_key("a"), 0, b'{"interval":"5"}')
    make(connection).save(actor="bob")
    assert [what for _, what, _, _ in told(connection)] == ["created", "outside", "created"]


def test_the_newest_changes_are_kept(connection: Redis) -> None:
    """Fewer of them if their arguments are large."""
    job = make(connection)
    job.save()
    for number in range(CHANGES_KEPT + 20):
        job.args = (number,)
        job.save()
    assert [revision for _, _, revision, _ in told(connection)] == list(range(21, 121))
    assert definition_of(read_log("a", connection), 21)["args"] == "[20]"
    assert read_log("a", connection).is_trimmed
    other = make(connection, "b")
    for number in range(CHANGES_KEPT):
        assert not read_log("b", connection).is_trimmed
        other.args = (number,)
        other.save()
    for number in range(10):
        job.args = ("x" * 500_000, number)
        job.save()
    assert len(told(connection)) == 2
    assert connection.memory_usage(changes_key("a"), samples=0) < 6_000_000
    definition = definition_of(read_log("a", connection), 129)
    assert json.loads(definition["args"]) == ["x" * 500_000, 8]


# All ways to change a schedule, in any order


def hold(connection: Redis, edit: Callable[[RedisCronJob], object]) -> None:
    """Edit it, if it is there and that can be done."""
    with suppress(NoSuchJobError, InvalidScheduleError):
        edit(fetch(connection))


def save_in_pipeline(connection: Redis, random: Random) -> None:
    with suppress(NoSuchJobError, ResponseError), connection.pipeline() as pipe:
        job = fetch(connection)
        job.kwargs = {"x": random.randrange(3)}
        job.save(pipeline=pipe)
        pipe.execute()


def set_attributes(job: RedisCronJob, random: Random) -> None:
    job.args = (random.randrange(3),)
    job.interval, job.cron = random.choice([(60, None), (3600, None), (None, "0 5 * * *")])
    job.timezone = "Europe/Paris" if job.cron and random.random() < 0.5 else None
    job.save()


def change_outside(connection: Redis, random: Random) -> None:
    """As redis-cli and rq-rediscron do, which also writes fields that have their defaults."""
    if connection.exists(job_key("a")):
        fields = {"queue_name": random.choice(["default", "reports"]), "meta": "{}", "x": "y"}
        connection.hset(job_key("a"), mapping=fields)
    if random.random() < 0.2:
        connection.delete(job_key("a"))


WAYS: dict[str, Callable[[Redis, Random], object]] = {
    "create": lambda connection, random: make(connection, interval=random.choice([5, 60])).save(),
    "register": lambda connection, random: RedisCronScheduler(connection).register(
        tasks.echo, "reports", "a", interval=random.choice([5, 60]), enabled=random.random() < 0.5
    ),
    "register many": lambda connection, random: RedisCronScheduler(connection).register_many(
        [make(connection, interval=random.choice([5, 60])), make(connection, "b")]
    ),
    "save": lambda connection, random: hold(connection, lambda job: set_attributes(job, random)),
    "save in a pipeline": save_in_pipeline,
    "enable": lambda connection, random: hold(connection, RedisCronJob.enable),
    "disable": lambda connection, random: hold(connection, RedisCronJob.disable),
    "delete": lambda connection, random: hold(connection, RedisCronJob.delete),
    "declare": lambda connection, random: deploy("a", *"bc"[: random.randrange(3)]),
    "no longer declare": lambda connection, random: deploy("b", disable_orphans=True),
    "prune": lambda connection, random: deploy("b", prune=random.random() < 0.3),
    "reset": lambda connection, random: hold(connection, lambda job: job.reset("args", "enabled")),
    "outside": change_outside,
}


def stored_definition(connection: Redis) -> dict[str, str]:
    found = connection.hgetall(job_key("a")).items()
    fields = {name.decode(): text.decode() for name, text in found}
    return {
        name: text
        for name, text in fields.items()
        if name not in UNLOGGED_FIELDS and text not in ("", LEFT_OUT.get(name))
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_undoing_the_log_gives_each_earlier_definition(
    connection: Redis, starting: None, seed: int
) -> None:
    random = Random(seed)
    states: list[dict[str, str]] = [{}]

    def note_state() -> None:
        state = stored_definition(connection)
        if state != states[-1]:
            states.append(state)

    for _ in range(60):
        way = random.choice(list(WAYS))
        if way != "outside":  # until now nobody could notice what was done there
            note_state()
        before = states[-1]
        WAYS[way](connection, random)
        if way != "outside" and stored_definition(connection) != before:
            note_state()
    note_state()
    hold(connection, lambda job: job.save())  # notices the last change outside
    log = read_log("a", connection)
    undone = [log.known]
    for change in log.changes:
        undone.append(change.undone(undone[-1]))
    assert undone[::-1] == states


# What other programs changed


def lead_once(connection: Redis) -> None:
    connection.delete(LOCK)
    RedisCronScheduler(connection, logging.ERROR).start(burst=True)


def test_what_was_changed_outside_is_noticed_with_old_and_new_values(connection: Redis) -> None:
    make(connection, cron="0 0 1 1 *", interval=None).save(actor="amy")
    lead_once(connection)
    fields = {"queue_name": "reports", "cron": "", "interval": "90", "meta": "{}"}
    connection.hset(job_key("a"), mapping=fields)
    version = fetch(connection).version
    lead_once(connection)
    changed = {
        "queue_name": ("default", "reports"),
        "cron": ("0 0 1 1 *", None),
        "interval": (None, "90"),
    }
    assert told(connection)[1:] == [("outside", "outside", 1, changed)]
    assert fetch(connection).revision == 1
    assert fetch(connection).version != version, "a form that was opened before is in conflict"
    lead_once(connection)
    assert len(told(connection)) == 2


def test_who_changes_it_next_is_not_said_to_have_changed_it_outside(connection: Redis) -> None:
    for change in (
        lambda job: job.disable(actor="amy"),
        lambda job: job.delete(actor="amy"),
        lambda job: RedisCronScheduler(connection).register_many(
            [make(connection), make(connection, "b")], actor="amy"
        ),
    ):
        connection.flushdb()
        make(connection).save(actor="amy")
        job = fetch(connection)
        connection.hset(job.key, "queue_name", "reports")
        change(job)
        _, noticed, by_amy = told(connection)
        assert noticed == ("outside", "outside", 1, {"queue_name": ("default", "reports")})
        assert (by_amy[0], by_amy[2]) == ("amy", 2)
        assert set(by_amy[3]) != {"interval"}


def test_what_is_created_and_deleted_outside_is_noticed(connection: Redis) -> None:
    make(connection).save(actor="amy")
    lead_once(connection)
    connection.rename(job_key("a"), job_key("b"))
    connection.hset(job_key("b"), mapping={"id": "b", "created_at": utc_text(now())})
    lead_once(connection)
    gone = {"func_name": "tests.tasks.echo", "queue_name": "default", "interval": "60",
            "enabled": "1"}  # fmt: skip
    deleted = {name: (text, None) for name, text in gone.items()}
    assert told(connection)[1:] == [("outside", "outside", 1, deleted)]
    created = {name: (None, text) for name, text in gone.items()}
    assert told(connection, "b") == [("outside", "outside", 0, created)]
    make(connection).save(actor="bob")
    assert [what for _, what, _, _ in told(connection)] == ["created", "outside", "created"]
    assert read_log("a", connection).known == gone


def test_who_changes_next_what_was_created_outside_did_not_create_it(
    connection: Redis,
) -> None:
    """Before a scheduler has seen it."""
    make(connection).save()
    lead_once(connection)
    connection.copy(job_key("a"), job_key("b"))
    connection.hset(job_key("b"), mapping={"id": "b", "created_at": utc_text(now())})
    RedisCronJob.fetch("b", connection).disable(actor="amy")
    created, by_amy = told(connection, "b")
    assert created[:2] == ("outside", "outside")
    assert created[3]["func_name"] == (None, "tests.tasks.echo")
    assert by_amy == ("amy", "disabled", created[2] + 1, {"enabled": ("1", "0")})


def test_what_was_deleted_without_a_trace_while_nobody_led_is_noticed(connection: Redis) -> None:
    make(connection).save()
    connection.delete(job_key("a"))
    connection.zrem(INDEX, "a")
    lead_once(connection)
    assert [what for _, what, _, _ in told(connection)] == ["created", "outside"]
    assert read_log("a", connection).known == {}


def test_what_was_there_before_changes_were_logged_was_changed_by_nobody(
    connection: Redis,
) -> None:
    make(connection).save()
    make(connection, "b").save()
    connection.delete(changes_key("a"), changes_key("b"))
    lead_once(connection)
    assert told(connection) == []
    fetch(connection).disable(actor="amy")
    assert told(connection) == [("amy", "disabled", 1, {"enabled": ("1", "0")})]
    connection.hset(job_key("b"), "queue_name", "reports")
    lead_once(connection)
    assert [what for _, what, _, _ in told(connection, "b")] == ["outside"]


@pytest.mark.slow
def test_a_leader_notices_what_is_changed_while_it_leads(connection: Redis, redis_url: str) -> None:
    """An edit that is announced, as those of rq-rediscron; one that is not, at the next run."""
    make(connection, interval=1).save()
    make(connection, "b", interval=3600).save()
    with running_scheduler(redis_url):
        wait_until(lambda: connection.exists(LOGGED_SINCE))  # it has looked at all
        connection.delete("rq:queue:default")
        next_job_id(connection, "default")
        next_job_id(connection, "default")
        connection.hset(job_key("a"), "queue_name", "reports")
        next_job_id(connection, "reports")
        wait_until(lambda: len(told(connection)) == 2)
        connection.hset(job_key("b"), "queue_name", "reports")
        connection.set(LAST_UPDATE, "1")
        connection.publish(EVENTS, json.dumps({"event": "updated", "job_id": "b"}))
        wait_until(lambda: len(told(connection, "b")) == 2)
    fields = {"queue_name": ("default", "reports")}
    for id in ("a", "b"):
        assert told(connection, id)[1:] == [("outside", "outside", 1, fields)]


def test_all_schedules_are_looked_at_again_and_again(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody announces of one that does not run shows only there."""
    make(connection, interval=86400).save()
    watch = outside.OutsideWatch(connection, set())
    watch.begin()
    while watch.step():
        pass
    connection.hset(job_key("a"), "queue_name", "reports")
    assert not watch.step()
    assert watch.pause > outside.SWEEP_INTERVAL - 30
    connection.expire(changes_key("a"), 1000)
    monkeypatch.setattr(outside, "SWEEP_INTERVAL", 0)
    monkeypatch.setattr(outside, "SWEEP_SHARE", 1e9)
    assert watch.pause == 0
    assert watch.step()
    assert [what for _, what, _, _ in told(connection)] == ["created", "outside"]
    assert connection.ttl(changes_key("a")) > CHANGES_TTL - 60


def test_keys_of_another_type_keep_no_scheduler_from_running(connection: Redis) -> None:
    make(connection).save()
    connection.delete(changes_key("a"))
    connection.set(changes_key("a"), "text")
    connection.lpush(LOGGED_SINCE, "no string")
    connection.set(GONE, "no sorted set")
    lead_once(connection)
    assert connection.llen("rq:queue:default") == 1


# Earlier definitions

LOG = ChangeLog(
    {"func_name": "f", "queue_name": "q", "enabled": "1", "interval": "60"},
    [
        LoggedChange(hours(4), "bob", "created", 0),
        LoggedChange(
            hours(3), "bob", "deleted", 2, "", {"func_name": ("f", None), "interval": ("30", None)}
        ),
        LoggedChange(
            hours(2), "amy", "updated", 1, "", {"interval": ("20", "30"), "cron": ("*", None)}
        ),
    ],
)


def test_an_earlier_definition_is_the_present_one_with_later_changes_undone() -> None:
    before = LOG.changes[-1].undone({"func_name": "f", "interval": "30"})
    assert before == {"func_name": "f", "interval": "20", "cron": "*"}
    assert definition_of(ChangeLog(None, []), 0) is None


def test_a_revision_is_that_of_the_newest_change_with_its_number() -> None:
    assert definition_of(LOG, 0) == LOG.known
    assert definition_of(LOG, 1) == {"func_name": "f", "interval": "30"}
    assert definition_of(LOG, 2) == {}
    assert definition_of(LOG, 3) is None


def test_a_revision_that_changed_nothing_is_that_of_the_change_before() -> None:
    fields = {"interval": ("20", "30")}
    log = ChangeLog(
        {"interval": "40"},
        [
            LoggedChange(hours(2), "amy", "updated", 8, "", {"interval": ("30", "40")}),
            LoggedChange(hours(1), "amy", "updated", 5, "", fields),
        ],
    )
    found = [definition_of(log, revision) for revision in (9, 8, 7, 6, 5, 4, 3)]
    intervals = [each and each["interval"] for each in found]
    assert intervals == [None, "40", "30", "30", "30", "20", None]


def test_what_is_no_entry_of_the_log_is_left_out(connection: Redis) -> None:
    entry = {"at": "2026-06-03T12:00:00.000000Z", "by": "amy", "what": "updated", "revision": 1}
    endless = json.dumps({**entry, "revision": math.inf})
    damaged = (b"\xff", b"5", b"{}", endless, json.dumps({**entry, "fields": {"cron": "*"}}))
    connection.rpush(changes_key("a"), json.dumps({"cron": "*"}), *damaged, json.dumps(entry))
    assert read_changes("a", connection) == [LoggedChange(NOON, "amy", "updated", 1)]
    assert read_log("a", connection).known == {"cron": "*"}
    connection.set(changes_key("b"), "no list")
    assert read_log("b", connection) == read_log("none", connection) == ChangeLog(None, [])


# Deleted schedules


def gone(connection: Redis) -> list[str]:
    return [each.id for each in read_deleted(connection)]


def test_who_deleted_a_schedule_and_what_it_was_is_listed(connection: Redis) -> None:
    """The latest first, by whatever way; until it is created again."""
    for id in ("a", "b", "c"):
        make(connection, id).save()
    lead_once(connection)
    fetch(connection).delete(actor="amy")
    with connection.pipeline() as pipe:
        RedisCronJob.fetch("b", connection).delete(pipeline=pipe)
        pipe.execute()
    connection.delete(job_key("c"))
    lead_once(connection)
    third, _second, first = read_deleted(connection)
    assert first.change is not None
    assert (first.id, first.func_name, first.at) == ("a", "tests.tasks.echo", first.change.at)
    assert (first.change.actor, first.change.what) == ("amy", "deleted")
    assert third.change is not None
    assert (third.id, third.func_name, third.change.what) == ("c", "tests.tasks.echo", "outside")
    assert [each.id for each in read_deleted(connection, 1, 1)] == ["b"]
    make(connection, "b").save()
    RedisCronScheduler(connection).register_many([make(connection, "a"), make(connection, "d")])
    assert gone(connection) == ["c"]
    revert("c", 0, connection)
    assert (gone(connection), count_deleted(connection)) == ([], 0)


def test_what_another_program_created_again_is_not_listed(connection: Redis) -> None:
    make(connection).save()
    stored = connection.hgetall(job_key("a"))
    fetch(connection).delete()
    connection.hset(job_key("a"), mapping=stored)
    assert gone(connection) == []
    lead_once(connection)
    assert count_deleted(connection) == 0


def test_the_list_of_deleted_schedules_forgets_after_a_year(connection: Redis) -> None:
    year = timedelta(seconds=CHANGES_TTL)
    for id, at in {"old": now() - year - HOUR, "young": now() - year + HOUR}.items():
        connection.zadd(GONE, {id: at.timestamp()})
    make(connection).save()
    fetch(connection).delete()
    assert gone(connection) == ["a", "young"]


@pytest.mark.parametrize("lost", [None, "no sorted set"])
def test_a_list_of_deleted_schedules_that_is_lost_is_made_again(
    connection: Redis, lost: str | None
) -> None:
    """From the logs; no schedule depends on it meanwhile."""
    make(connection).save()
    connection.delete(GONE)
    if lost:
        connection.set(GONE, lost)
    fetch(connection).delete()
    make(connection, "b").save()
    connection.delete(GONE)
    lead_once(connection)
    (found,) = read_deleted(connection)
    assert found.change is not None
    assert (found.id, found.at) == ("a", found.change.at)


def test_what_is_restored_counts_its_failures_anew(connection: Redis) -> None:
    make(connection, max_failures=3).save()
    connection.hset(outcomes_key("a"), "failures", 3)
    fetch(connection).delete()
    revert("a", 0, connection)
    assert fetch(connection).get_outcomes(connection).failures == 0


# Reverting


def test_an_earlier_definition_is_restored_as_a_new_change(connection: Redis) -> None:
    make(connection, args=(1,), kwargs={"x": 1}).save()
    job = fetch(connection)
    job.cron, job.interval, job.timezone, job.args = "0 5 * * *", None, "Europe/Paris", (2,)
    job.save()
    job.disable()
    job.revert(0, actor="amy")
    assert (job.interval, job.cron, job.timezone, job.args) == (60, None, None, (1,))
    assert (job.enabled, job.kwargs, job.revision) == (True, {"x": 1}, 3)
    (newest, *_) = read_changes("a", connection)
    assert (newest.actor, newest.what, newest.reason) == ("amy", "reverted", "to revision 0")
    assert newest.fields["cron"] == ("0 5 * * *", None)
    assert connection.zscore(INDEX, "a") is not None
    job.revert(1)
    assert (job.cron, job.enabled, job.revision) == ("0 5 * * *", True, 4)
    assert job.next_enqueue_time > now()
    job.revert(4)
    assert job.revision == 4, "there is nothing to change"


def test_a_deleted_schedule_is_created_again(connection: Redis, starting: None) -> None:
    """With its origin if code declares it."""
    deploy("a")
    fetch(connection).disable()
    before = stored_definition(connection)
    fetch(connection).delete()
    with pytest.raises(InvalidScheduleError, match="was deleted with revision 2"):
        revert("a", 2, connection)
    revert("a", 1, connection)
    assert stored_definition(connection) == before
    assert [what for _, what, _, _ in told(connection)][-2:] == ["deleted", "reverted"]
    assert fetch(connection).overrides == {}
    deploy("a", "b")
    assert fetch(connection).args == (2,), "it follows the code again"


def test_what_no_edit_could_do_cannot_be_reverted_to(
    connection: Redis, starting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(connection, max_runs=3).save()
    job = fetch(connection)
    job.func_name = "tests.tasks.fail"
    job.save()
    for revision, why in ((2, "is not on record"), ("1", "must be a whole number")):
        with pytest.raises(InvalidScheduleError, match=why):
            job.revert(revision)
    monkeypatch.delattr(tasks, "echo")
    with pytest.raises(InvalidScheduleError, match="echo"):
        job.revert(0)
    monkeypatch.undo()
    connection.hset(job.key, mapping={"locked": "1", "place": "apps.py:1"})
    with pytest.raises(ScheduleLockedError):
        job.revert(0)
    assert [what for _, what, _, _ in told(connection)] == ["created", "updated"]


def test_somebody_who_changes_it_meanwhile_is_not_overrun(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(connection).save()
    job = fetch(connection)
    job.args = (1,)
    job.save()

    def save_later(*arguments: Any) -> None:
        RedisCronJob.fetch("a", connection).disable()
        save_changes(*arguments)

    monkeypatch.setattr(reverting, "save_changes", save_later)
    with pytest.raises(ScheduleChangedError):
        job.revert(0)
    monkeypatch.undo()
    with pytest.raises(ScheduleChangedError):
        job.revert(0, if_version=job.version)
    assert fetch(connection).args == (1,)
    fetch(connection).delete()
    with pytest.raises(ScheduleChangedError):
        revert("a", 0, connection, if_version=job.version)
    assert not connection.exists(job.key)


def test_a_damaged_schedule_is_made_whole(connection: Redis) -> None:
    make(connection).save()
    connection.hset(job_key("a"), "interval", "-5")
    revert("a", 0, connection, actor="amy")
    assert fetch(connection).interval == 60
    assert [(actor, what) for actor, what, _, _ in told(connection)][1:] == [
        ("outside", "outside"),
        ("amy", "reverted"),
    ]
    assert [each.reason for each in read_changes("a", connection)] == ["to revision 0", "", ""]


def test_eight_editors_at_once_leave_an_entry_for_each_revision(redis_url: str) -> None:
    """In order: each begins with what the one before it left."""
    connection = Redis.from_url(redis_url)
    connection.flushdb()
    make(connection).save()

    def edit(number: int) -> None:
        client = Redis.from_url(redis_url)
        job = RedisCronJob.fetch("a", client)
        for step in range(10):
            job.args = (number, step)
            job.save(actor=f"editor {number}")
        client.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(edit, range(8)))
    log = read_log("a", connection)
    assert [change.revision for change in log.changes] == list(range(80, -1, -1))
    for newer, older in pairwise(log.changes[:-1]):
        assert newer.fields["args"][0] == older.fields["args"][1]
    assert log.known["args"] == fetch(connection).definition()["args"]
    connection.close()


# Actors


def test_an_actor_counts_inside_its_block() -> None:
    assert current_actor().startswith("program:")
    with acting_as("amy"):
        with acting_as("bob"):
            assert current_actor() == "bob"
        with acting_as(None):
            assert current_actor() == "amy"
        assert current_actor() == "amy"
    assert current_actor().startswith("program:")


def test_an_actor_is_a_line_of_limited_length() -> None:
    with acting_as("a\n\tb\0\x1b[31m\u2028c\ud800" + "x" * 1000):
        assert current_actor().startswith("a b [31m c?xxx")
        assert len(current_actor()) == 150
    with pytest.raises(TypeError, match="actor must be a text, got 5"), acting_as(5):
        pass


def test_who_has_no_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as any user."""
    monkeypatch.setattr("getpass.getuser", lambda: {}["nobody"])
    assert command_line_actor().startswith("cli:")
