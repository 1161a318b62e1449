"""One database with rq-rediscron 0.1.10, or with RQ's own cron: nothing is lost on either side."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq.cron import CronScheduler

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import DISABLED, DISABLED_UNTIL, INDEX
from django_rediscron.core.story.changes import read_changes
from tests import tasks
from tests.processes import next_job_id, running_scheduler, wait_until

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def peer_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with rq-rediscron from the package index."""
    home = tmp_path_factory.mktemp("peer")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "rq-rediscron==0.1.10"]
    subprocess.run(install, check=True, capture_output=True)
    return python


@pytest.fixture
def peer(peer_python: Path, redis_url: str) -> Any:
    """Run lines in rq-rediscron's environment; returns what they leave in `result`."""

    def run(lines: str) -> Any:
        script = (
            "import json, logging\n"
            "logging.disable(logging.CRITICAL)\n"
            "from redis import Redis\n"
            "from rediscron import RedisCronJob, RedisCronScheduler\n"
            "from tests.tasks import echo\n"
            f"redis = Redis.from_url({redis_url!r})\n"
            "scheduler = RedisCronScheduler(redis, name='peer')\n"
            "result = None\n"
            f"{lines}\n"
            "print(json.dumps(result))\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [peer_python, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.slow
def test_schedules_of_rq_rediscron_are_read_edited_and_run_here(
    connection: Redis, peer: Any
) -> None:
    peer(
        "scheduler.register(echo, 'q', id='interval', args=('x',), interval=300, meta={'m': 1})\n"
        "scheduler.register(\n"
        "    echo, 'q', id='cron', cron='0 0 1 1 *', kwargs={'a': [1]}, job_timeout=9\n"
        ")\n"
        "scheduler.register(echo, 'q', id='off', interval=300, enabled=False)\n"
    )
    scheduler = RedisCronScheduler(connection)
    jobs = {job.id: job for job in scheduler.get_all_jobs()}
    assert set(jobs) == {"interval", "cron", "off"}  # one of them is in no index of theirs
    assert jobs["interval"].args == ("x",)
    assert jobs["interval"].job_options["meta"] == {"m": 1}
    assert jobs["cron"].kwargs == {"a": [1]}
    assert jobs["cron"].job_options["job_timeout"] == 9
    assert jobs["off"].enabled is False

    jobs["off"].enable()
    jobs["cron"].queue_name = "edited"
    jobs["cron"].save()
    scheduler.start(burst=True)
    assert connection.llen("rq:queue:q") == 2
    # Its get_all_jobs takes every key under rq:cron_job: for a schedule, RQ's histories too.
    seen = peer(
        "result = {job.id: [job.enabled, job.queue_name, job.interval, job.cron,\n"
        "    job.latest_enqueue_time is not None] for job in scheduler.get_jobs()}"
    )
    assert seen == {
        "interval": [True, "q", 300, None, True],
        "cron": [True, "edited", None, "0 0 1 1 *", False],
        "off": [True, "q", 300, None, True],
    }


@pytest.mark.slow
def test_schedules_of_ours_are_read_edited_and_run_by_rq_rediscron(
    connection: Redis, peer: Any
) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register(
        tasks.echo,
        "q",
        id="interval",
        interval=300,
        args=(1, "é"),
        job_timeout="10m",
        ttl=60,
        notify={"failures": 3},
    )
    scheduler.register(tasks.echo, "q", id="cron", cron="*/5 * * * *", enabled=False, notify=False)
    assert peer(
        "job = RedisCronJob.fetch('interval', redis)\n"
        "scheduler.register_birth()\n"
        "ran = [job.id for job in scheduler.enqueue_jobs()]\n"
        "scheduler.register_death()\n"
        "other = RedisCronJob.fetch('cron', redis)\n"
        "other.queue_name = 'peer'\n"
        "other.enable()\n"
        "result = [job.args, job.job_options['job_timeout'], ran]"
    ) == [[1, "é"], 600, ["interval"]]
    job = RedisCronJob.fetch("interval", connection)
    assert job.latest_enqueue_time is not None
    assert (job.interval, job.notify) == (300, {"failures": 3})
    other = RedisCronJob.fetch("cron", connection)
    assert (other.enabled, other.queue_name, other.notify) == (True, "peer", False)
    assert {job.id for job in scheduler.get_jobs()} == {"interval", "cron"}
    peer("RedisCronJob.fetch('cron', redis).disable()")
    assert {job.id for job in scheduler.get_all_jobs()} == {"interval", "cron"}
    assert {job.id for job in scheduler.get_jobs()} == {"interval"}
    assert connection.zrange(DISABLED, 0, -1) == [b"cron"]


@pytest.mark.slow
def test_an_edit_by_rq_rediscron_wakes_our_scheduler(
    connection: Redis, redis_url: str, peer: Any
) -> None:
    RedisCronScheduler(connection).register(tasks.echo, "q", id="a", interval=1)
    with running_scheduler(redis_url):
        next_job_id(connection, "q")
        peer("scheduler.register(echo, 'edited', id='a', interval=1)")
        next_job_id(connection, "edited")
        peer("scheduler.register(echo, 'new', id='b', interval=3600)")
        next_job_id(connection, "new")
        # It keeps the next time of the old interval, an hour from now; here an edit counts at once.
        peer("job = RedisCronJob.fetch('b', redis); job.interval = 1; job.save()")
        next_job_id(connection, "new")
        RedisCronScheduler(connection).register(tasks.echo, "cron", id="c", cron="0 0 1 1 *")
        peer("job = RedisCronJob.fetch('c', redis); job.cron = '* * * * * *'; job.save()")
        next_job_id(connection, "cron")


@pytest.mark.slow
def test_what_is_disabled_until_some_time_is_only_disabled_for_rq_rediscron(
    connection: Redis, redis_url: str, peer: Any
) -> None:
    """What it writes leaves our fields behind, which mean nothing once it has enabled it."""
    scheduler = RedisCronScheduler(connection)
    for id in ("a", "b"):
        scheduler.register(tasks.echo, "q", id=id, cron="0 0 1 1 *")
        RedisCronJob.fetch(id, connection).disable(reason="why", until=3600)
    assert peer(
        "job = RedisCronJob.fetch('a', redis)\n"
        "result = job.enabled\n"
        "job.enable()\n"
        "other = RedisCronJob.fetch('b', redis)\n"
        "other.queue_name = 'peer'\n"
        "other.save()"
    ) is False  # fmt: skip
    job = RedisCronJob.fetch("a", connection)
    assert (job.enabled, job.disabled_reason, job.disabled_until) == (True, "", None)
    other = RedisCronJob.fetch("b", connection)
    assert (other.queue_name, other.disabled_reason) == ("peer", "why")
    assert other.disabled_until is not None
    with running_scheduler(redis_url):
        wait_until(lambda: connection.hget("rq:cron_job:a", "disabled_until") is None)
    assert connection.zrange(DISABLED_UNTIL, 0, -1) == [b"b"]


@pytest.mark.slow
def test_what_rq_rediscron_changes_is_logged_as_made_outside(
    connection: Redis, redis_url: str, peer: Any
) -> None:
    """Also what it creates and deletes; whether the leader hears of it, or begins to lead later."""
    ours = RedisCronScheduler(connection)
    for id in ("a", "b", "c"):
        ours.register(tasks.echo, "q", id=id, interval=3600)
    ours.start(burst=True)
    with running_scheduler(redis_url):
        peer("job = RedisCronJob.fetch('a', redis); job.queue_name = 'edited'; job.save()")
        wait_until(lambda: len(read_changes("a", connection)) == 2)
        peer("scheduler.register(echo, 'new', id='d', interval=3600)")
        wait_until(lambda: read_changes("d", connection))
        peer("RedisCronJob.fetch('b', redis).delete()")
        wait_until(lambda: len(read_changes("b", connection)) == 2)
    peer("RedisCronJob.fetch('a', redis).disable()")
    peer("RedisCronJob.fetch('c', redis).delete()")
    peer("scheduler.register(echo, 'new', id='e', interval=3600)")
    ours.start(burst=True)
    queue, enabled = ("q", "edited"), ("1", "0")
    assert [dict(change.fields) for change in reversed(read_changes("a", connection))] == [
        {},
        {"queue_name": queue},
        {"enabled": enabled},
    ]
    for id in ("b", "c"):
        newest = read_changes(id, connection)[0]
        assert (newest.what, newest.fields["queue_name"]) == ("outside", ("q", None))
    for id in ("d", "e"):
        (created,) = read_changes(id, connection)
        assert (created.what, created.fields["queue_name"]) == ("outside", (None, "new"))


def test_rqs_own_cron_shares_the_database(connection: Redis) -> None:
    registry = pytest.importorskip("rq.cron_job_registry", reason="RQ 2.12 and later have it")
    ours = RedisCronScheduler(connection)
    ours.register(tasks.echo, "ours", id="visits", interval=300)
    rqs = CronScheduler(connection)
    rqs.register(tasks.echo, "rqs", interval=300)
    rqs.register(tasks.Reports.static, "rqs", interval=300, name="a name of RQ's")
    rqs.enqueue_jobs()
    ours.register_birth()
    for _ in range(3):
        ours.enqueue_jobs()
        names = registry.get_names(connection)
        assert {"tests.tasks.echo", "a name of RQ's"} <= set(names)
        assert [job.id for job in ours.get_all_jobs()] == ["visits"]
        assert connection.zscore(INDEX, "visits") is not None
    assert ours.calculate_sleep_interval() > 1
    assert connection.llen("rq:queue:ours") == 1
    assert connection.llen("rq:queue:rqs") == 2
    assert len(RedisCronJob.fetch("visits", connection).get_job_ids(connection)) == 1
    assert connection.zcard("rq:cron_job:tests.tasks.echo:jobs") == 1
