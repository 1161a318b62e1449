"""Every page of this package with axe, by WCAG 2.2 AA: light and dark, on a desk and on a phone."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.apps import apps
from playwright.sync_api import Page
from redis import Redis

from django_rediscron import RedisCronJob, Run, register
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.scheduler import RedisCronScheduler
from django_rediscron.core.store.keys import runs_key, skipped_key
from django_rediscron.core.store.pauses import pause
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.sync import declarations as declared
from django_rediscron.sync import sync
from tests.app.tasks import build_report

from .conftest import PHONE

LIST = "/admin/django_rediscron/schedule/"
LogIn = Callable[..., Page]
Make = Callable[..., RedisCronJob]

HOUR = timedelta(hours=1)
DESK = {"width": 1600, "height": 900}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = {
    "the list": "",
    "what a search found": "?q=reports&state=enabled",
    "a search that found nothing": "?q=nothing-like-it",
    "a timeline of the past": "timeline/?range=last-night",
    "a timeline of what comes": "timeline/?range=week&all=1",
    "a timeline of no times": "timeline/?from=x&to=y",
    "adding": "add/",
    "adding a copy": "add/?copy=reports",
    "a schedule": "reports/change/",
    "a schedule that failed": "broken/change/?kind=run",
    "a schedule declared in code": "declared/change/",
    "a schedule that cannot be read": "damaged/change/",
    "why": "reports/change/?why={due}",
    "running": "reports/run/",
    "disabling": "reports/disable/",
    "reverting": "reports/revert/?revision=1",
    "deleting": "reports/delete/",
    "the log": "reports/history/",
    "all that were deleted": "deleted/",
    "one that was deleted": "gone/deleted/",
    "restoring": "gone/revert/?revision=1",
}
ACTIONS = ["disable_selected_until", "run_selected", "reset_selected", "delete_selected"]


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core. Where tests have to run, one that is missing is a failure."""
    if not os.environ.get("CI"):
        pytest.importorskip("axe_playwright_python")
    found: str = importlib.import_module("axe_playwright_python.base").AXE_SCRIPT
    return found


@pytest.fixture
def check(axe: str) -> Iterator[Callable[[Page, str], None]]:
    """Look at a page in both widths; whatever axe finds on any of them fails the test."""
    violations: dict[str, list[str]] = {}

    def look(page: Page, name: str) -> None:
        page.wait_for_load_state()
        page.evaluate(axe)
        for size in (DESK, PHONE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for text in _violations(page):
                violations.setdefault(text, []).append(f"{name}, {size['width']} px")

    yield look
    told = [f"{text}\n    on {'; '.join(where)}" for text, where in violations.items()]
    assert not told, "\n".join(told)


@pytest.fixture
def everything(schedule: Make, connection: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedules in all states, with a history."""
    monkeypatch.setattr(declared, "_declared", {})
    monkeypatch.setattr(apps, "ready", False)
    register(build_report, "default", id="declared", interval=300, args=("daily",))
    monkeypatch.setattr(apps, "ready", True)
    sync()
    changed = RedisCronJob.fetch("declared", connection)
    changed.interval, changed.jitter = 600, 20
    changed.save()
    now = datetime.now(timezone.utc)
    for id in ("reports", "broken"):
        job = schedule(id, cron="*/20 * * * *", timezone="Europe/Berlin", tags=["money", "night"])
        job.kwargs = {"pages": 7}
        job.save(actor="cli:bob@web-1")
        connection.hset(job.key, "created_at", utc_text(now - 99 * HOUR))
        statuses = ["finished", "failed", "stopped", "canceled", "unknown"]
        for number in range(10):
            due = (now - number * HOUR / 2).replace(minute=20, second=0)
            status = statuses[number % 5] if id == "broken" else "finished"
            run = Run(f"{id}-{number}", due, status, due, due, "w", "default", due, error="boom")
            connection.rpush(runs_key(id), run.to_text())
        skip = Skip(now - 2 * HOUR, now - HOUR, 3, "overlap", now - HOUR)
        connection.rpush(skipped_key(id), skip.to_text())
    connection.hset("rq:cron_job:broken", "last_error", "function 'x.y' cannot be imported")
    schedule("off").disable(reason="until the release", actor="admin:carol")
    schedule("damaged")
    connection.hset("rq:cron_job:damaged", "interval", "x")
    schedule("gone").delete(actor="admin:carol")
    pause(connection, "reports", reason="the release", actor="cli:bob@web-1")
    RedisCronScheduler(connection, name="prime").start(burst=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_wcag(
    scheme: str, log_in: LogIn, check: Callable[[Page, str], None], everything: None
) -> None:
    page = log_in(color_scheme=scheme)
    due = (datetime.now(timezone.utc) - 2 * HOUR).strftime("%Y-%m-%dT%H:%M")
    for name, path in PAGES.items():
        response = page.goto(LIST + path.format(due=due))
        assert response is not None
        assert response.status == 200, name
        check(page, name)
    for action in ACTIONS:
        page.goto(f"{LIST}?o=1")
        page.set_viewport_size(DESK)  # type: ignore[arg-type]
        page.get_by_role("checkbox", name="declared").check()
        page.get_by_label("Action:").select_option(action)
        page.locator("button[name=index]").click()
        check(page, action)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_wcag_where_something_is_wrong(
    scheme: str,
    settings: Any,
    log_in: LogIn,
    check: Callable[[Page, str], None],
    connection: Redis,
) -> None:
    page = log_in(color_scheme=scheme)
    check(page, "the empty list")
    for path in ("timeline/", "deleted/"):
        page.goto(LIST + path)
        check(page, f"empty {path}")
    page.goto(f"{LIST}add/")
    page.locator("#id_id").fill("new")
    page.locator("#id_func_name").fill("tests.app.tasks.build_report")
    page.locator("#id_cron").fill("61 6 * * *")
    page.get_by_role("button", name="Save", exact=True).click()
    check(page, "adding with errors")
    settings.REDISCRON = {"QUEUE": "nowhere"}
    for path in ("", "add/", "timeline/", "deleted/"):
        page.goto(LIST + path)
        check(page, f"an outage of {path}")


def _violations(page: Page) -> list[str]:
    """What violates which rule."""
    found: list[str] = page.evaluate(
        """async (tags) => {
            const rules = {"target-size": {enabled: true}};
            const {violations} = await axe.run({
                runOnly: {type: "tag", values: tags}, rules, resultTypes: ["violations"],
                preload: false,
            });
            return violations.flatMap(({id, nodes}) => nodes.map(
                (node) => `${id}: ${node.target} ${node.html.slice(0, 200)} ${
                    node.failureSummary.replaceAll("\\n", " ").slice(0, 250)}`));
        }""",
        TAGS,
    )
    return found
