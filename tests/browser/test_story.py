"""The story of a schedule in a browser: read, narrowed down, and in all themes and directions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from django_rediscron import RedisCronJob, Run
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.scheduler import RedisCronScheduler
from django_rediscron.core.store.keys import runs_key, skipped_key
from django_rediscron.core.story.skips import Failure

from .conftest import PHONE, take_screenshot, too_dim

CHANGE = "/admin/django_rediscron/schedule/reports_3Adaily/change/"
ID = "reports:daily"
LogIn = Callable[..., Page]
Make = Callable[..., RedisCronJob]

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
STATUSES = ["finished", "failed", *["finished"] * 3, "stopped", "canceled", "unknown", "failed"]
ERROR = "SMTPServerDisconnected: Connection unexpectedly closed"


@pytest.fixture
def told(schedule: Make, connection: Redis) -> RedisCronJob:
    """A schedule with a hundred runs and with something of every other kind."""
    job = schedule(ID, interval=3600)
    RedisCronScheduler(connection, name="scheduler-1").start(burst=True)
    now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    for hours in range(1, 101):
        due = now - hours * HOUR
        status = STATUSES[hours % len(STATUSES)]
        run = Run(
            f"6a1f0c2e-16a3-4b6a-8f1d-{hours:012}",
            due + SECOND,
            status,
            due + SECOND,
            due + (3 + hours % 7) * SECOND,
            f"worker-{hours % 3}",
            "default",
            due,
            attempts=1 + hours % 2,
            error=ERROR if status == "failed" else "",
        )
        connection.rpush(runs_key(ID), run.to_text())
    late = now - HOUR / 3
    records = [
        Skip(late - HOUR, late - HOUR / 2, 3, "catch_up", late),
        Failure(late - 2 * HOUR, late - 2 * HOUR, "function 'reports.tasks' cannot be imported"),
    ]
    connection.rpush(skipped_key(ID), *(record.to_text() for record in records))
    job.interval, job.kwargs = 1800, {"note": "x" * 300}
    job.save(actor="cli:bob@web-1")
    job.disable(actor="admin:carol")
    return job


def test_is_narrowed_down_and_read_page_by_page(log_in: LogIn, told: RedisCronJob) -> None:
    page = log_in()
    page.goto(CHANGE)
    story = page.locator(".rediscron-story")
    entries = story.locator("ol > li")
    expect(entries).to_have_count(8)
    story.get_by_role("link", name="entries").click()
    expect(entries).to_have_count(50)
    story.get_by_role("link", name="2", exact=True).click()
    expect(story.locator("[aria-current=page]")).to_have_text("2")
    story.get_by_role("link", name="Changes 3").click()
    expect(entries).to_have_count(3)
    expect(entries.first).to_contain_text("Disabled by admin:carol")
    expect(entries.nth(1)).to_contain_text("interval: 3600 → 1800")
    story.get_by_role("link", name="Failed").click()
    expect(entries.first).to_contain_text(ERROR)
    count = entries.count()
    story.get_by_label("Day").fill("2020-01-01")
    story.get_by_role("button", name="Show").click()
    expect(story).to_contain_text("No matching entries.")
    story.get_by_role("link", name="All days").click()
    expect(entries).to_have_count(count)


def test_tells_why(log_in: LogIn, told: RedisCronJob, connection: Redis) -> None:
    page = log_in("view")
    page.goto(f"{CHANGE}?kind=run")
    why = page.locator(".rediscron-why")
    expect(why).to_be_in_viewport()
    expect(why.locator("ul > li")).to_have_count(2)
    failed = next(run for run in told.get_runs(connection) if run.status == "failed")
    assert failed.occurrence is not None
    why.get_by_label("Time").fill(f"{failed.occurrence:%Y-%m-%dT%H:%M:%S}")
    why.get_by_role("button", name="Why?").click()
    expect(why.locator("ul > li")).to_have_count(1)
    expect(why.locator("ul > li")).to_contain_text(ERROR)
    expect(page.locator(".rediscron-filters [aria-current]").first).to_contain_text("Runs")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_can_be_read_in_both_themes_and_on_a_phone(
    scheme: str, viewport: dict[str, int], log_in: LogIn, told: RedisCronJob
) -> None:
    page = log_in(color_scheme=scheme, viewport=viewport)
    page.goto(f"{CHANGE}#rediscron-why")
    page.wait_for_load_state("networkidle")
    width: Any = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    texts = ".rediscron-mark, time, strong, bdi, del, ins, code, a, h2, h3, label"
    shown = page.locator(".rediscron-details").locator(texts)
    assert shown.count() > 20
    assert too_dim(shown) == []
    if scheme == "light":
        take_screenshot(page, "story" if viewport is not PHONE else "phone-story")


def test_fits_from_right_to_left(settings: Any, log_in: LogIn, told: RedisCronJob) -> None:
    page = log_in(viewport=PHONE)
    settings.LANGUAGE_CODE = "ar"
    page.goto(f"{CHANGE}#rediscron-story")
    assert page.locator("html").get_attribute("dir") == "rtl"
    width: Any = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    mark, time, head = (
        page.locator(f".rediscron-story {each}").first.bounding_box()
        for each in ("ol .rediscron-mark", "ol time", "h3")
    )
    assert mark is not None
    assert time is not None
    assert head is not None
    assert mark["x"] < time["x"]
    assert head["x"] + head["width"] - (time["x"] + time["width"]) < 20  # as far in as the day


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_what_was_deleted_is_found_and_restored(
    viewport: dict[str, int], log_in: LogIn, told: RedisCronJob, schedule: Make
) -> None:
    schedule("invoices:" + "x" * 60).delete(actor="program:import_customers.py@worker-eu-west-1b")
    told.delete(actor="admin:carol")
    page = log_in(viewport=viewport)

    def check() -> None:
        width: Any = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"]
        assert too_dim(page.locator("#content").locator("td, th, dt, dd, a, p, h2, strong")) == []

    page.get_by_role("link", name="Deleted schedules").click()
    expect(page.locator(".rediscron-deleted tbody tr")).to_have_count(2)
    check()
    page.get_by_role("link", name=ID).click()
    expect(page.locator(".rediscron-story ol > li").first).to_contain_text("Deleted by admin:carol")
    check()
    page.get_by_role("link", name="Restore", exact=True).click()
    check()
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".messagelist")).to_contain_text("was restored to revision 2")
