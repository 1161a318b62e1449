"""What `demo --check` asks of the running system."""

from __future__ import annotations

import secrets
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError

from django_rediscron import get_scheduler
from journal.models import Entry
from journal.tasks import report

T = TypeVar("T")


class Command(BaseCommand):
    help = "Checks a running demo from a process of its own; `demo --check` starts it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("site", help="the address of the site")
        parser.add_argument("--seconds", type=float, default=45, help="the time for all of it")

    def handle(self, *, site: str, seconds: float, **options: Any) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._check_executed()
        edited = self._check_edited()
        self._check_site(site, edited)

    def _check_executed(self) -> None:
        entry = self._until(
            lambda: Entry.objects.filter(queue="default", text="The heart beats.").first(),
            "no job of the declared schedule journal:beat was executed",
        )
        self._passed(f"executed: journal:beat, on queue {entry.queue}, wrote {entry.text!r}")

    def _check_edited(self) -> str:
        """Edit a schedule and return how the entries of the edited one begin."""
        title = f"Edited {secrets.token_hex(4)}"
        kwargs = {"minutes": 1, "title": title}
        get_scheduler().register(report, "reports", id="journal:report", kwargs=kwargs, interval=2)
        # Once a minute, as declared, it would not run twice before the deadline.
        self._until(
            lambda: Entry.objects.filter(queue="reports", text__startswith=title).count() >= 2,
            "the edited schedule journal:report (every 2 s) did not run twice",
        )
        self._passed("edited: journal:report, from every minute to every 2 s, took effect")
        return title

    def _check_site(self, site: str, text: str) -> None:
        if text not in self._get(site):
            raise CommandError(f"The page {site} does not show the entry {text!r}.")
        # An anonymous visitor of the admin is sent on to its log-in page.
        if 'name="password"' not in self._get(f"{site}admin/"):
            raise CommandError(f"{site}admin/ does not show its log-in page.")
        self._passed(f"site: {site} shows the entries, {site}admin/ its log-in page")

    def _until(self, find: Callable[[], T], failure: str) -> T:
        """Return what `find` finds as soon as it finds something."""
        while time.monotonic() < self._deadline:
            if found := find():
                return found
            time.sleep(0.1)
        raise CommandError(f"In {self._seconds:g} s {failure}.")

    def _get(self, url: str) -> str:
        # Without a handler for proxies: one from the environment could not reach this address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=10) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            raise CommandError(f"{url} answered {error.code} {error.reason}.") from None
        except OSError as error:
            raise CommandError(f"{url} did not answer: {error}.") from None

    def _passed(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
