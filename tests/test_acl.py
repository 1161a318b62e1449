"""Users with exactly the rights that the documentation names, and what they can and cannot do."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from django_rediscron import PROGRESS, Receiver, cli
from django_rediscron.core import (
    RedisCronJob,
    RedisCronScheduler,
    UnreadableScheduleError,
    read_deleted,
    why,
)
from django_rediscron.core.backfill.note import Order
from django_rediscron.core.backfill.running import Backfill
from django_rediscron.core.declared.declared_schedule import DeclaredSchedule
from django_rediscron.core.declared.merging import merge
from django_rediscron.core.monitoring.health import check_health
from django_rediscron.core.store import fetch_many, list_schedules, reindex
from django_rediscron.core.store.keys import (
    EVENTS,
    INDEX,
    INDEXED,
    LAST_UPDATE,
    LOCK,
    SCHEDULERS,
    job_key,
    scheduler_key,
)
from django_rediscron.core.store.search import read_names, search
from django_rediscron.core.story.why.asking import read_queue
from tests import tasks
from tests.forks import Program, run_python
from tests.processes import SCHEDULER, next_job_id, wait_until
from tests.scripts import loaded_scripts
from tests.test_telling import fail

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "docs" / "deploy.md"

SCRIPT_CALL = re.compile(r"\b(?:p?call|try|read)\('([A-Z]+)'")

TOLERATED = {"client|setinfo", "client", "client|maint_notifications"}
"""What redis-py asks for when it connects, and does without."""

OTHERS = ("GET secret", "SET secret x", "KEYS *", "FLUSHDB", "CONFIG GET maxmemory", "ACL LIST")


def documented_users() -> dict[str, list[str]]:
    """The rules of each user, as a shell would pass them on."""
    text = DEPLOY.read_text(encoding="utf-8")
    commands = re.findall(r"```shell\n(redis-cli ACL SETUSER .*?)```", text, re.DOTALL)
    words = [shlex.split(command.replace("\\\n", " "))[3:] for command in commands]
    return {name: rules for name, *rules in words}


class User:
    """One of the documented users, on the server of the tests."""

    def __init__(self, admin: Redis, url: str, name: str) -> None:
        self.admin = admin
        self.name = name
        (password,) = (rule[1:] for rule in documented_users()[name] if rule.startswith(">"))
        address = urlsplit(url)
        server = address.netloc.rpartition("@")[2]
        self.url = address._replace(netloc=f"{name}:{password}@{server}").geturl()
        self.connection = Redis.from_url(self.url)

    def refusals(self) -> set[str]:
        """What the server refused to this user, as it put that on record."""
        log = self.admin.execute_command("ACL", "LOG", "100")
        entries = [entry if isinstance(entry, dict) else pairs(entry) for entry in log]
        texts = [{text(key): text(value) for key, value in entry.items()} for entry in entries]
        refused = {entry["object"] for entry in texts if entry["username"] == self.name}
        return refused - TOLERATED


def pairs(flat: list[object]) -> dict[object, object]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.fixture
def acl(connection: Redis) -> Iterator[Redis]:
    """A client that may make users; they are gone afterwards."""
    try:
        for name, rules in documented_users().items():
            connection.execute_command("ACL", "SETUSER", name, *rules)
        connection.execute_command("ACL", "LOG", "RESET")
    except NoPermissionError:
        pytest.skip("the user in REDIS_URL may not make other users")
    yield connection
    connection.execute_command("ACL", "DELUSER", *documented_users())


@contextmanager
def signed_in(acl: Redis, url: str, name: str) -> Iterator[User]:
    user = User(acl, url, name)
    with user.connection:
        yield user


@pytest.fixture
def editor(acl: Redis, redis_url: str) -> Iterator[User]:
    with signed_in(acl, redis_url, "rediscron-editor") as user:
        yield user


@pytest.fixture
def reader(acl: Redis, redis_url: str) -> Iterator[User]:
    with signed_in(acl, redis_url, "rediscron-reader") as user:
        yield user


@pytest.fixture
def runner(acl: Redis, redis_url: str) -> Iterator[User]:
    with signed_in(acl, redis_url, "rediscron-scheduler") as user:
        yield user


def test_the_documentation_names_three_users() -> None:
    users = documented_users()
    assert list(users) == ["rediscron-scheduler", "rediscron-editor", "rediscron-reader"]
    assert all(rules[:2] == ["reset", "on"] for rules in users.values())
    assert not any("~*" in rules or rule[:2] == "+@" for rules in users.values() for rule in rules)


def test_their_rights_cover_every_command_of_the_scripts_they_run() -> None:
    """Some of these run rarely."""
    changes = ["save", "delete", "read", "prune", "create", "pause", "resume"]
    passes = ["due", "dispatch", "extend_lock", "release_lock", "replace_lock"]
    passes += ["follow", "end_runs", "mark_told", "ended", "wake", "close_pause"]
    passes += ["register_receivers", "take_notifications", "note_told"]
    scripts = loaded_scripts()
    for name, run in {
        "rediscron-scheduler": changes + passes,
        "rediscron-editor": [
            *(*changes, "search", "names_in_use", "enter", "overlapping", "read_runs"),
        ],
        "rediscron-reader": ["read", "search", "read_runs"],
    }.items():
        text = "".join(scripts[each].text for each in run)
        needed = {f"+{command.lower()}" for command in SCRIPT_CALL.findall(text)}
        assert needed
        assert needed - set(documented_users()[name]) == set(), name


@pytest.mark.parametrize("name", documented_users())
def test_they_cannot_touch_anything_else(acl: Redis, redis_url: str, name: str) -> None:
    with signed_in(acl, redis_url, name) as user:
        for command in OTHERS:
            with pytest.raises(NoPermissionError):
                user.connection.execute_command(*command.split())
        with pytest.raises(ResponseError):
            user.connection.eval("return redis.call('GET', 'secret')", 0)


def holds_lock(client: Redis, name: str) -> bool:
    """Whether it took the lock, and has said so in the registry too, where a rival looks."""
    token = client.get(LOCK)
    return token is not None and token == client.hget(scheduler_key(name), "token")


def test_the_scheduler_can_tell_its_receivers(runner: User) -> None:
    told: list[str] = []
    watcher = Receiver("watcher", lambda each: told.append(each[0].kind), kinds=frozenset(PROGRESS))
    receivers = [watcher, lambda each: told.append(each.kind)]
    scheduler = RedisCronScheduler(runner.connection, receivers=receivers)
    scheduler.start(burst=True)
    fail(runner.admin, "a")
    scheduler.start(burst=True)
    assert sorted(told) == ["run_ended", "run_failed"]
    assert runner.refusals() == set()


@pytest.mark.parametrize("standby", [False, True])
def test_the_scheduler_can_all_that_it_does(runner: User, editor: User, standby: bool) -> None:
    register_some(editor)
    strain(runner.admin)
    yearly = {"cron": "0 0 1 1 *", "connection": editor.connection}
    later = RedisCronJob("later", "metrics", tasks.echo, **yearly)
    later.save()
    later.disable(reason="why", until=1)
    runner.admin.script_flush()
    with scheduler(runner, "first", standby) as process:
        for _ in range(3):
            next_job_id(runner.admin, "metrics")
        wait_until(lambda: runner.admin.hexists(job_key("broken"), "last_error"))
        wait_until(lambda: runner.admin.zscore(INDEX, "not indexed"))
        wait_until(lambda: runner.admin.zscore(INDEX, "later"))
        add_hash(runner.admin, "by another program")
        runner.admin.set(LAST_UPDATE, time.time())
        runner.admin.publish(EVENTS, '{"event": "created", "job_id": "by another program"}')
        wait_until(lambda: runner.admin.zscore(INDEX, "by another program"))
        assert check_health(runner.connection).ok
        runner.admin.delete(LOCK)  # as if Redis had lost it
        wait_until(lambda: holds_lock(runner.admin, "first"))
        process.kill()
        process.wait()
    with scheduler(runner, "second", standby) as process:  # replaces the dead one
        wait_until(lambda: (runner.admin.get(LOCK) or b"").startswith(b"second:"))
        next_job_id(runner.admin, "metrics")
        process.send_signal(signal.SIGTERM)
        status, output = process.wait(), process.output()
    assert status == 0, output
    assert "trouble" not in output
    assert not runner.admin.exists(LOCK)
    assert runner.admin.zscore(SCHEDULERS, "second") is None
    assert runner.refusals() == set()
    assert editor.refusals() == set()


def test_the_scheduler_of_a_django_project_can_write_what_is_declared(runner: User) -> None:
    declared = {"queue_name": "default", "id": "a", "interval": 300}
    for interval in (300, 60):
        declared["interval"] = interval
        variables = {
            "REDISCRON_TEST_URL": runner.url,
            "REDISCRON_TEST_DECLARED": json.dumps([declared]),
        }
        arguments = ("-m", "django", "rqcron_scheduler", "--burst")
        run_python(*arguments, env={**os.environ, **variables}, check=True)
    assert RedisCronJob.fetch("a", runner.admin).interval == 60
    assert runner.refusals() == set()


def test_an_editor_can_do_all_with_a_schedule(editor: User) -> None:
    RedisCronScheduler(editor.admin, name="second").enter_registry()
    register_some(editor)
    strain(editor.admin)
    connection = editor.connection
    job = RedisCronJob.fetch("often", connection)
    job.interval = 7
    job.save()
    job.disable()
    job.enable()
    job.refresh()
    rq_job = job.enqueue(connection)
    assert job.get_job_ids(connection) == [rq_job.id]
    assert editor.admin.lrange("rq:queue:metrics", 0, -1) == [rq_job.id.encode()]
    job.set_enqueue_time(job.get_next_enqueue_time())
    editor.admin.script_flush()  # as after a restart of the server
    pipe = connection.pipeline()
    job.interval = 8
    job.save(pipeline=pipe)
    pipe.execute()
    assert fetch_many(["often"], connection)["often"].interval == 8  # type: ignore[union-attr]
    reindex(connection)
    assert len(list_schedules(connection).jobs) == 4
    assert check_health(connection).problem == "no-scheduler"
    assert len(RedisCronScheduler(connection).get_all_jobs()) == 4
    assert why("often", None, connection)
    assert read_queue("metrics", rq_job.id, connection).position == 1
    job.delete()
    assert why("often", None, connection)  # also of a deleted one
    (deleted,) = read_deleted(connection)
    assert deleted.change is not None
    assert editor.refusals() == set()


@pytest.mark.parametrize("overlap", ["allow", "skip"])
def test_an_editor_can_backfill(editor: User, overlap: Any) -> None:
    admin = editor.admin
    options: dict[str, Any] = {"cron": "0 0 * * *", "timezone": "UTC", "overlap": overlap}
    job = RedisCronJob("report", "metrics", tasks.echo, connection=editor.connection, **options)
    job.save()
    ended = job.enqueue(editor.connection)
    admin.hset(ended.key, "status", "started")  # and its worker has died
    order = Order(*(datetime(2026, 6, 3, tzinfo=timezone.utc),) * 2)
    assert len(list(Backfill("report", order, editor.connection).run())) == 1
    assert editor.refusals() == set()


def test_a_reader_can_list_schedules_and_ask_for_their_health(
    reader: User, editor: User, runner: User, capsys: pytest.CaptureFixture[str]
) -> None:
    register_some(editor)
    with scheduler(runner, "first", standby=False):
        next_job_id(runner.admin, "metrics")
        reader.admin.script_flush()
        cli.main(["info", "--url", reader.url], standalone_mode=False)
        assert "3 scheduled jobs total" in capsys.readouterr().out
        cli.main(["info", "--json", "--url", reader.url], standalone_mode=False)
        assert len(json.loads(capsys.readouterr().out)["jobs"]) == 3
        for verb in ("history", "changes", "show", "why"):
            cli.main([verb, "often", "--url", reader.url], standalone_mode=False)
        assert "created by" in capsys.readouterr().out
        cli.main(["metrics", "--url", reader.url], standalone_mode=False)
        cli.main(["metrics", "--schedules", "0", "--url", reader.url], standalone_mode=False)
        assert 'state="enabled",queue="metrics"' in capsys.readouterr().out
        wait_until(lambda: check_health(reader.connection).ok)
        assert RedisCronJob.fetch("often", reader.connection).interval == 1
        RedisCronJob.fetch("often", editor.connection).delete()
        (deleted,) = read_deleted(reader.connection)
        assert deleted.change is not None
        cli.main(["history", "often", "--deleted", "--url", reader.url], standalone_mode=False)
    assert reader.refusals() == set()


def test_keys_that_may_only_be_read_can_be_searched(
    acl: Redis, redis_url: str, editor: User
) -> None:
    """Redis takes each key that a script declares for one that it writes."""
    register_some(editor)
    try:
        acl.execute_command("ACL", "SETUSER", "rediscron-reader", "resetkeys", "%R~*")
    except ResponseError:
        pytest.skip("Redis 6.2 knows no keys that may only be read")
    with signed_in(acl, redis_url, "rediscron-reader") as reader:
        assert len(search(reader.connection, values=("state",))) == 3
        assert read_names(reader.connection).queues


def test_a_reader_lists_what_needs_repair_and_leaves_that_to_others(
    reader: User, editor: User
) -> None:
    register_some(editor)
    strain(editor.admin)
    reader.admin.delete(INDEXED)
    assert len(list_schedules(reader.connection).jobs) == 3
    assert reader.admin.zscore(INDEX, "stale") is not None


def test_a_reader_can_change_nothing(reader: User, editor: User) -> None:
    register_some(editor)
    job = RedisCronJob.fetch("often", reader.connection)
    job.interval = 7
    for change in (job.save, job.disable, job.delete, lambda: job.enqueue(reader.connection)):
        with pytest.raises(ResponseError):
            change()
    assert RedisCronJob.fetch("often", reader.connection).interval == 1


@pytest.mark.parametrize(
    "rules",
    [["-hgetall"], ["resetkeys", "~rq:cron_jobs*", "~rq:queue*"]],
    ids=["command", "key"],
)
def test_what_redis_refuses_to_read_is_not_called_damaged(
    acl: Redis, editor: User, rules: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    job = RedisCronJob("report", "metrics", tasks.echo, interval=60, connection=acl)
    job.save()
    acl.execute_command("ACL", "SETUSER", editor.name, *rules)

    with pytest.raises(UnreadableScheduleError, match="Redis refuses to read it") as error:
        RedisCronJob.fetch("report", editor.connection)
    assert re.search("permission|NOPERM|ACL", str(error.value))
    assert "delete" not in str(error.value)
    (found,) = list_schedules(editor.connection).damaged
    assert (found.id, found.refused) == ("report", True)
    cli.main(["info", "--url", editor.url], standalone_mode=False)
    told = capsys.readouterr().out
    assert "Redis refuses to read it" in told
    assert "damaged" not in told

    wanted = DeclaredSchedule(job.snapshot(), "site", "site/apps.py:1", False)
    with pytest.raises(UnreadableScheduleError):
        merge(found, {}, wanted)  # what people changed may stand there


def register_some(user: User) -> None:
    schedules = RedisCronScheduler(user.connection)
    schedules.register(tasks.echo, "metrics", id="often", interval=1)
    schedules.register(tasks.echo, "metrics", id="off", interval=1, enabled=False)
    schedules.register(tasks.echo, "metrics", id="broken", interval=1)
    user.admin.hset(job_key("broken"), "func_name", "tests.tasks.no_such_function")


def strain(admin: Redis) -> None:
    """Work for repairs: a member without a hash, and a schedule in no index."""
    admin.zadd(INDEX, {"stale": 1})
    add_hash(admin, "not indexed")


def add_hash(admin: Redis, id: str) -> None:
    fields = {"id": id, "interval": "60", "queue_name": "metrics", "enabled": "1"}
    admin.hset(job_key(id), mapping={**fields, "func_name": "tests.tasks.echo"})


@contextmanager
def scheduler(user: User, name: str, standby: bool) -> Iterator[Program]:
    script = SCHEDULER.format(url=user.url, name=name, lock_ttl=60, max_sleep=0.2)
    process = Program("-c", script.replace(".start()", f".start(standby={standby})"))
    try:
        yield process
    finally:
        process.close()
