"""What `demo --check` asks of the running system."""

from __future__ import annotations

import os
import secrets
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from http.cookiejar import CookieJar
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from django.core.management.base import BaseCommand, CommandError

from django_rediscron import RedisCronJob, get_scheduler, read_pauses
from journal.models import Entry
from journal.tasks import report

T = TypeVar("T")


class Command(BaseCommand):
    help = "Checks a running demo from a process of its own; `demo --check` starts it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("site", help="the address of the site")
        parser.add_argument("admin", help="the user who may do everything")
        parser.add_argument("viewer", help="the user who may only look")
        parser.add_argument("--seconds", type=float, default=45, help="the time for all of it")

    def handle(self, *, site: str, admin: str, viewer: str, seconds: float, **options: Any) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._check_executed()
        edited = self._check_edited()
        self._check_site(site, edited)
        self._check_schedules()
        self._check_users(site, admin, viewer)

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

    def _check_schedules(self) -> None:
        """What each of the special schedules is there to show."""
        self._until(self._has_recovered, "journal:weather did not fail and recover")
        self._passed("recovered: journal:weather failed, and its next run finished")
        for id, reason in (
            ("journal:copy", "overlap"),
            ("journal:missed", "misfire"),
            ("journal:archive", "paused"),
        ):
            self._until(partial(self._was_skipped, id, reason), f"{id} was not skipped: {reason}")
        self._passed("skipped: journal:copy overlapped, journal:missed was too late")

        connection = get_scheduler().connection
        if [pause.queue for pause in read_pauses(connection)] != [
            self._job("journal:archive").queue_name
        ]:
            raise CommandError("the queue of journal:archive is not paused")
        self._passed("paused: nothing of journal:archive is enqueued")
        if set(self._job("journal:greeting").overrides) != {"interval"}:
            raise CommandError("journal:greeting does not differ from the code in its interval")
        self._passed("overridden: journal:greeting, in its interval")
        (following,) = self._job("journal:tokyo").upcoming(1)
        if (following.hour, str(following.tzinfo)) != (9, "Asia/Tokyo"):
            raise CommandError(f"journal:tokyo is to run at {following}, not at 9:00 in Tokyo")
        self._passed(f"zone: journal:tokyo is to run at {following.isoformat()}")

    def _has_recovered(self) -> bool:
        runs = self._job("journal:weather").get_runs(get_scheduler().connection)
        outcomes = [run.status for run in reversed(runs)]
        return ("failed", "finished") in pairwise(outcomes)

    def _was_skipped(self, id: str, reason: str) -> bool:
        skips = self._job(id).get_skips(get_scheduler().connection)
        return any(skip.reason == reason for skip in skips)

    def _job(self, id: str) -> RedisCronJob:
        return RedisCronJob.fetch(id, get_scheduler().connection)

    def _check_users(self, site: str, admin: str, viewer: str) -> None:
        """The superuser may add schedules, the other user may only look."""
        pages = f"{site}admin/django_rediscron/schedule/"
        for user, may_add in ((admin, True), (viewer, False)):
            browser = self._logged_in(site, user)
            if "journal:tokyo" not in self._get(f"{pages}timeline/?range=week", browser):
                raise CommandError(f"The timeline does not show journal:tokyo to {user}.")
            if (f'href="{urlsplit(pages).path}add/' in self._get(pages, browser)) != may_add:
                raise CommandError(f"The list is wrong about whether {user} may add schedules.")
        self._passed(f"users: {admin} may add schedules, {viewer} may only look; timelines answer")

    def _logged_in(self, site: str, user: str) -> urllib.request.OpenerDirector:
        cookies = CookieJar()
        browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies)
        )
        login = f"{site}admin/login/"
        self._get(login, browser)
        (token,) = (cookie.value for cookie in cookies if cookie.name == "csrftoken")
        form = {
            "username": user,
            "password": os.environ["DEMO_PASSWORD"],
            "csrfmiddlewaretoken": token,
            "next": "/admin/",
        }
        self._get(login, browser, urlencode(form).encode())
        return browser

    def _until(self, find: Callable[[], T], failure: str) -> T:
        """Return what `find` finds as soon as it finds something."""
        while time.monotonic() < self._deadline:
            if found := find():
                return found
            time.sleep(0.1)
        raise CommandError(f"In {self._seconds:g} s {failure}.")

    def _get(
        self,
        url: str,
        browser: urllib.request.OpenerDirector | None = None,
        form: bytes | None = None,
    ) -> str:
        # Without a handler for proxies: one from the environment could not reach this address.
        opener = browser or urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, form, timeout=10) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            raise CommandError(f"{url} answered {error.code} {error.reason}.") from None
        except OSError as error:
            raise CommandError(f"{url} did not answer: {error}.") from None

    def _passed(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
