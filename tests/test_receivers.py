"""The setting NOTIFY: what it may name, and what is said of mistakes in it."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from django.core import checks
from django.test import override_settings
from redis import Redis

from django_rediscron.notify import load_receivers, receivers
from tests.alarms import alarm, due
from tests.app import alarms
from tests.forks import ROOT, run_python

MAIL = "django_rediscron.notify.mail"
TO = {"to": ["ops@example.com"]}


@pytest.fixture(autouse=True)
def _none_told() -> Iterator[None]:
    alarms.told.clear()
    yield
    alarms.told.clear()


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ((MAIL, TO), "mail"),
        ([MAIL, {**TO, "name": "pager"}], "pager"),
        ("tests.app.alarms.tell", "tests.app.alarms.tell"),
        ("tests.app.alarms.Chat", "tests.app.alarms.Chat"),
        (("tests.app.alarms.Chat", {"room": "ops"}), "tests.app.alarms.Chat"),
        (("tests.app.alarms.make_receiver", {"name": "made"}), "made"),
        ("tests.app.alarms.ready_made", "ready made"),
    ],
)
def test_what_may_be_named(entry: object, name: str) -> None:
    with override_settings(REDISCRON={"NOTIFY": [entry]}):
        (receiver,), faults = load_receivers()
    assert faults == []
    assert receiver.name == name
    if name != "mail" and name != "pager":
        receiver.tell([alarm()])
        assert alarms.told == [alarm()]


@pytest.mark.parametrize(
    ("value", "words", "remedy"),
    [
        ("x.y", "should be a list, got 'x.y'.", "For instance"),
        ([5], "but it contains 5.", "For instance"),
        ([("x.y",)], "but it contains ('x.y',).", "For instance"),
        ([("x.y", {"token": "secret"}, 1)], "but it contains ('x.y',).", "For instance"),
        ([{"token": "secret"}], "but it contains a dict.", "For instance"),
        ([({"token": "secret"}, 1)], "but it contains a tuple.", "For instance"),
        ({"x.y": {"token": "secret"}}, "should be a list, got a dict.", "For instance"),
        ([("x.y", "token")], "but it contains ('x.y',).", "For instance"),
        (["no.such"], "'no.such', which cannot be imported: ModuleNotFound", "Correct the name"),
        (["nothing"], "No module named 'nothing'.", "Correct the name"),
        (["tests.app.alarms.no"], 'does not define a "no" attribute', "Correct the name"),
        (["tests.broken.lacks"], "cannot be imported: ModuleNotFoundError", "needs"),
        (["tests.broken.exits"], "cannot be imported: SystemExit", "needs"),
        (["tests.app.alarms"], "a module without a function make.", "Name a function in it"),
        (["tests.app.alarms.NUMBER"], "which is 5.", "Name a function"),
        (["tests.app.alarms.tell"] * 2, "of the name 'tests.app.alarms.tell'.", "Remove one"),
        ([(MAIL, TO), (MAIL, TO)], "two receivers of the name 'mail'.", "an option 'name'"),
        ([(MAIL, {"too": 1})], "unexpected keyword argument 'too'.", "Its options are: to, sender"),
        ([(MAIL, {5: 1})], "has wrong options for", "Its options are"),
        (["django_rediscron.notify.webhook"], "missing a required argument: 'url'.", "options are"),
        ([(MAIL, {"to": "ops"})], "to must be a list of mail addresses, got 'ops'.", "Correct"),
        ([(MAIL, {**TO, "timeout": -1})], "timeout must be a positive number", "Correct"),
        ([(MAIL, {**TO, "gather": "soon"})], "gather must be a positive number", "Correct"),
        ([(MAIL, {**TO, "site": "example.com"})], "site must be the address", "Correct"),
        ([(MAIL, {**TO, "kinds": ["failed"]})], "got ['failed'].", "Correct"),
        ([MAIL], "nobody would get the mail; add addresses to ADMINS", "Correct"),
        ([("tests.app.alarms.Chat", {"room": ""})], "room must not be empty.", "Correct"),
        (["tests.app.alarms.tell_async"], "a receiver must not be async, got <function", "plain"),
        ([("tests.app.alarms.make_nothing", {})], "which returned None.", "must return"),
    ],
)
def test_mistakes_are_named_with_a_remedy(value: object, words: str, remedy: str) -> None:
    with override_settings(REDISCRON={"NOTIFY": value}):
        (message,) = checks.run_checks(tags=["django_rediscron_receivers"])
    assert message.id == "django_rediscron.E008"
    assert message.msg.startswith('REDISCRON["NOTIFY"] ')
    assert words in message.msg
    assert "secret" not in message.msg
    assert remedy in str(message.hint)


def test_a_mistake_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(REDISCRON={"NOTIFY": ["no.such", "tests.app.alarms.tell"]}):
        (receiver,) = receivers()
        commands = checks.run_checks(tags=["django_rediscron"])
    assert receiver.name == "tests.app.alarms.tell"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "'no.such'" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert commands == [], "what the scheduler requires before it starts"


@pytest.mark.slow
def test_mistakes_do_not_keep_a_scheduler_from_its_work(connection: Redis, tmp_path: Path) -> None:
    due(connection, "billing")
    (tmp_path / "own_settings.py").write_text(
        "from tests.settings import *\n"
        'REDISCRON = {"NOTIFY": ["no.such", 5, "tests.broken.exits", "tests.app.alarms.tell"]}\n'
    )
    done = run_python(
        *("-m", "django", "rqcron_scheduler", "--burst"),
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "own_settings",
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
        },
    )
    assert done.returncode == 0, done
    assert connection.llen("rq:queue:default") == 1
    errors = [line for line in done.stderr.splitlines() if 'REDISCRON["NOTIFY"]' in line]
    assert len(errors) == 3, done
    assert connection.hexists("rq:cron_jobs:alarms:told", "tests.app.alarms.tell")


def test_a_receiver_leaves_no_connection_to_a_database_open(tmp_path: Path) -> None:
    program = f"""
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django_rq", "django_rediscron"],
    RQ_QUEUES={{"default": {{"URL": "redis://127.0.0.1:1"}}}},
    DATABASES={{
        "default": {{
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": {str(tmp_path / "db.sqlite3")!r},
            "CONN_MAX_AGE": None,
        }}
    }},
    REDISCRON={{"NOTIFY": ["tests.app.alarms.query"]}},
)
import django
django.setup()
from django.db import connection
from django_rediscron.notify import receivers
from tests.alarms import alarm, due
from tests.app import alarms
(receiver,) = receivers()
try:
    receiver.tell([alarm()])
except RuntimeError:
    print("told", alarms.told, connection.connection)
"""
    done = run_python("-c", program)
    assert done.stdout == "told [(1,)] None\n", done


def test_a_project_without_an_admin_can_send_mail() -> None:
    program = """
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django_rq", "django_rediscron"],
    RQ_QUEUES={"default": {"URL": "redis://127.0.0.1:1"}},
    EMAIL_BACKEND="django.core.mail.backends.console.EmailBackend",
    REDISCRON={"NOTIFY": [("django_rediscron.notify.mail", {"to": ["ops@example.com"]})]},
)
import django
django.setup()
from django_rediscron.notify import receivers
from tests.alarms import alarm, due
(receiver,) = receivers()
receiver.tell([alarm()])
"""
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr
    assert "Subject: [Django] billing failed" in done.stdout
    assert "http" not in done.stdout


def test_the_receiver_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    (code,) = re.findall(r"```python\n# shop/alarms\.py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "documented_alarms.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with HTTPServer(("127.0.0.1", 0), Chat) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        options = {"url": f"http://127.0.0.1:{server.server_port}/hook"}
        with override_settings(REDISCRON={"NOTIFY": [("documented_alarms", options)]}):
            (receiver,) = receivers()
        receiver.tell([alarm(text="first"), alarm(text="second")])
        thread.join(30)
    assert (receiver.name, receiver.gather) == ("chat", 10)
    assert Chat.posted == [{"text": "first\nsecond"}]


class Chat(BaseHTTPRequestHandler):
    posted: ClassVar[list[object]] = []

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
