"""Alarms arrive at a webhook as the documentation says, or are given up without harm.

Seen to fail, each with this taken out: the moment in `signature`, `_escaped`, the link.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron import Notification, RedisCronJob
from django_rediscron.core.notifying import telling
from django_rediscron.core.store.keys import DROPPED
from django_rediscron.notify import healthchecks, heartbeat, webhook
from django_rediscron.notify.http import RequestFailedError
from tests import tasks
from tests.forks import run_python
from tests.http_server import HANGS, HttpServer, Reply, http_server
from tests.processes import wait_until
from tests.test_notifying import leading, make_due, register, run

MONITORING = Path(__file__).resolve().parent.parent / "docs" / "monitoring.md"
SITE = "https://shop.example.com"
SECRET = "s3cr3t"
NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)


WITHOUT_DJANGO = """
import logging
from datetime import datetime, timezone
from django_rediscron import Notification
from django_rediscron.notify import webhook
logging.basicConfig(level=logging.WARNING)
moment = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
told = Notification("7-0", "leader_changed", moment, "", None, None, None, "New leader.", {{}})
webhook.make({url!r}).tell([told])
"""


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@pytest.fixture
def notification() -> Notification:
    job = RedisCronJob("report", "metrics", tasks.echo, interval=300)
    facts = {"failures": 1}
    return Notification("7-0", "run_failed", NOON, "report", job, NOON, None, "Too bad.", facts)


def documented_check() -> Any:
    """The function of the documentation that verifies a signature."""
    text = MONITORING.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n([^`]*def is_from_rediscron[^`]*)```", text)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["is_from_rediscron"]


def documented_body() -> dict[str, Any]:
    text = MONITORING.read_text(encoding="utf-8")
    (body,) = re.findall(r'```json\n(\{\s*"id": "1780465200000-0".*?)```', text, re.DOTALL)
    return json.loads(body)


def test_a_failure_arrives_as_documented(connection: Redis, server: HttpServer) -> None:
    register(connection)
    with leading(connection, webhook.make(server.url, site=SITE)):
        run(connection)
        received = server.next()
    assert received.method == "POST"
    assert received.headers["content-type"] == "application/json"
    body = json.loads(received.body)
    assert received.headers["x-rediscron-id"] == body["id"]
    assert "x-rediscron-signature" not in received.headers
    documented = documented_body()
    assert body.keys() == documented.keys()
    assert documented["run"].keys() <= body["run"].keys()
    assert [body[name] for name in ("kind", "schedule", "facts")] == [
        documented["kind"],
        documented["schedule"],
        documented["facts"],
    ]
    assert body["link"] == documented["link"]


def test_a_signature_is_verified_as_documented(
    server: HttpServer, notification: Notification
) -> None:
    is_from_rediscron = documented_check()
    webhook.make(server.url, secret=SECRET).tell([notification])
    received = server.next()
    header = received.headers["x-rediscron-signature"]
    assert is_from_rediscron(header, received.body, SECRET)
    assert not is_from_rediscron(header, received.body + b" ", SECRET)
    assert not is_from_rediscron(header, received.body, "another")
    moment = int(time.time())
    assert not is_from_rediscron(re.sub(r"t=\d+", f"t={moment + 9}", header), received.body, SECRET)
    old = webhook.signature(SECRET, received.body, moment - 600)
    assert not is_from_rediscron(old, received.body, SECRET)
    huge = "9" * 5000
    for nonsense in ("", "v1=", "t=x,v1=y", "t=1", f"t={moment},v1=\xe9", f"t={huge},v1=y"):
        assert not is_from_rediscron(nonsense, received.body, SECRET)


def test_slack_gets_a_text_without_markup(server: HttpServer, notification: Notification) -> None:
    told = replace(notification, text="<!channel> a & b", schedule_id="a<b>")
    webhook.make(server.url, format="slack", site=SITE).tell([told])
    text = json.loads(server.next().body)["text"]
    first, link = text.split("\n")
    assert first == "&lt;!channel&gt; a &amp; b"
    assert link.startswith(f"<{SITE}/admin/")
    assert link.endswith("|a&lt;b&gt;>")
    told = replace(notification, kind="leader_changed", schedule_id="", schedule=None)
    webhook.make(server.url, format="slack").tell([told])
    assert json.loads(server.next().body) == {"text": "Too bad."}


@pytest.mark.parametrize("format", ["json", "slack"])
def test_what_is_no_text_arrives_all_the_same(
    server: HttpServer, notification: Notification, format: str
) -> None:
    webhook.make(server.url, format=format).tell([replace(notification, text="file \udcff")])
    assert json.loads(server.next().body)["text"].startswith("file ?")


def test_without_django_there_is_no_link(server: HttpServer) -> None:
    program = WITHOUT_DJANGO.format(url=server.url)
    env = {name: text for name, text in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = run_python("-c", program, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert json.loads(server.next().body)["link"] == ""


def test_answers_other_than_2xx_are_no_success(
    server: HttpServer, notification: Notification
) -> None:
    receiver = webhook.make(f"{server.url}/T0000/secret-of-slack", headers={"X-Own": "yes"})
    server.reply = Reply(500)
    with pytest.raises(RequestFailedError, match="answers 500") as raised:
        receiver.tell([notification])
    assert "secret" not in f"{raised.value}{receiver.name}"
    assert server.next().headers["x-own"] == "yes"


@pytest.mark.slow
def test_a_dead_webhook_delays_no_pass_and_what_it_misses_is_counted(
    connection: Redis, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PAUSES", (0, 0))
    with http_server() as gone:
        pass
    server.reply = HANGS
    register(connection)
    hanging = webhook.make(server.url, name="hanging", timeout=0.2)
    with leading(connection, hanging, webhook.make(gone.url, name="gone")):
        run(connection)
        for _ in range(2):
            make_due(connection)
            run(connection)

        def dropped() -> list[int]:
            return [int(count or 0) for count in connection.hmget(DROPPED, "hanging", "gone")]

        wait_until(lambda: dropped() == [3, 3])


@pytest.mark.slow
def test_services_that_hang_delay_neither_runs_nor_the_end(
    connection: Redis, server: HttpServer
) -> None:
    server.reply = HANGS
    patient = {"url": server.url, "timeout": 600}  # longer than the test waits for anything
    checks = healthchecks.make("key", "key", **patient, api_url=server.url)
    register(connection)
    with leading(connection, webhook.make(**patient), checks, heartbeat.make(**patient)):
        run(connection)
        paths = set[str]()
        while not {"/", "/api/v3/checks/"} <= paths:
            paths.add(server.next().path)
        for _ in range(3):
            make_due(connection)
            run(connection)


def test_two_webhooks_have_different_names_that_stay() -> None:
    first, second = (webhook.make(f"https://hooks.slack.com/{path}") for path in ("a", "b"))
    assert first.name != second.name
    assert first.name == webhook.make("https://hooks.slack.com/a").name
    assert first.name.startswith("webhook hooks.slack.com ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "hooks.slack.com/T0/s3cr3t"}, "url must be a URL that begins with http"),
        ({"secret": ""}, "secret must be a text that is not empty"),
        ({"format": "teams"}, "format must be one of json, slack, got 'teams'"),
        ({"timeout": -1}, "timeout must be a positive number"),
        ({"headers": {"X-Own": "a\r\nb"}}, "headers must be texts on one line"),
        ({"site": "example.com"}, "site must be"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        webhook.make(**{"url": "https://example.com", **options})
    assert "s3cr3t" not in str(raised.value)
