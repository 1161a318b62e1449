"""A real Prometheus scrapes a site, and its alerts come and go."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob
from tests import tasks
from tests.processes import running_scheduler, wait_until, working
from tests.server import free_port

pytestmark = pytest.mark.slow

RULES = Path(__file__).parent.parent / "docs" / "monitoring" / "rules.yml"
TOKEN = "a-token"
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: site
    metrics_path: /rediscron/metrics
    authorization: {{credentials: {token}}}
    static_configs: [targets: ["{target}"]]
"""

Alerts = Callable[[], set[tuple[str, str]]]


@pytest.fixture
def alerts(settings: Any, live_server: Any, tmp_path: Path) -> Iterator[Alerts]:
    """Names of the alerts that are firing, and schedules. No rule waits before it fires."""
    settings.REDISCRON = {"METRICS_TOKEN": TOKEN}
    (tmp_path / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", RULES.read_text()))
    target = live_server.url.removeprefix("http://")
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(token=TOKEN, target=target))
    with prometheus(tmp_path) as url:

        def firing() -> set[tuple[str, str]]:
            with urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=10) as answer:
                found = json.load(answer)["data"]["alerts"]
            labels = [each["labels"] for each in found if each["state"] == "firing"]
            return {(each["alertname"], each.get("schedule", "")) for each in labels}

        yield firing


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Where tests have to run, a Prometheus that is missing is a failure."""
    program = shutil.which("prometheus")
    if program is None:
        assert not os.environ.get("CI"), "prometheus is missing; it is a Debian package"
        pytest.skip("needs prometheus, a Debian package")
    address = f"127.0.0.1:{free_port()}"
    options = [f"--web.listen-address={address}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, *options, f"--config.file={folder / 'prometheus.yml'}"],
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: process.poll() is not None or is_ready(f"http://{address}"))
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def test_alerts_come_and_go(connection: Redis, redis_url: str, alerts: Alerts) -> None:
    due = datetime.now(timezone.utc) - timedelta(minutes=5)
    RedisCronJob(
        "late", "blocked", tasks.echo, interval=3600, next_enqueue_time=due, connection=connection
    ).save()
    failing = RedisCronJob("failing", "metrics", tasks.fail, interval=1, connection=connection)
    failing.save()
    connection.set("rq:queue:blocked", "no list")
    no_leader, late = ("RediscronNoLeader", ""), ("RediscronLate", "late")
    wait_until(lambda: {no_leader, late} <= alerts())

    with working(redis_url):
        with running_scheduler(redis_url, lock_ttl=2, max_sleep=1):
            fails = {("RediscronFailing", "failing"), ("RediscronNoSuccess", "failing")}
            wait_until(lambda: alerts() == fails | {late})

            connection.delete("rq:queue:blocked")
            failing.func_name = "tests.tasks.echo"
            failing.save()
            wait_until(lambda: alerts() == set())

        # It was killed.
        wait_until(lambda: no_leader in alerts())
        with running_scheduler(redis_url, "second", lock_ttl=2, max_sleep=1):
            wait_until(lambda: alerts() == set())
