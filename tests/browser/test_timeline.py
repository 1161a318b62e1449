"""The timeline in a browser: at a glance, in both themes, on a phone, and fresh."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from django_rediscron import RedisCronJob, Run
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.store.keys import REIGNS, runs_key, skipped_key
from django_rediscron.core.timing.cron_times import utc_text

from .conftest import PHONE, take_screenshot, too_dim

PAGE = "/admin/django_rediscron/schedule/timeline/"
LogIn = Callable[..., Page]
Make = Callable[..., RedisCronJob]

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NIGHTLY = {
    "backup/database": ("0 2 * * *", "finished", 50),
    "backup/media": ("15 3 * * *", "finished", 95),
    "billing:invoices": ("0 4 * * *", "failed", 1),
    "cleanup": ("30 1 * * *", "finished", 2),
    "exports": ("0 5 * * *", "stopped", 30),
    "reports:daily": ("0 6 * * *", "finished", 12),
    "search:reindex": ("45 2 * * *", "unknown", 0),
}


@pytest.fixture
def yesterday(schedule: Make, connection: Redis) -> datetime:
    """What ran in the night before; the midnight in it."""
    now = datetime.now(timezone.utc)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if now.hour < 8:
        midnight -= DAY
    for number, (id, (cron, status, minutes)) in enumerate(NIGHTLY.items()):
        job = schedule(id, cron=cron, queue_name="reports" if number % 3 == 2 else "default")
        due = job.recurrence().last(midnight + 8 * HOUR, midnight - DAY)
        end = due + minutes * MINUTE
        run = Run(f"job-{number}", due, status, due, end, "worker-1", "default", due, error="boom")
        connection.rpush(runs_key(id), run.to_text())
        connection.hset(job.key, "created_at", utc_text(midnight - 9 * DAY))
    job = schedule("rates:refresh", cron="*/10 * * * *")
    connection.hset(job.key, "created_at", utc_text(midnight - 9 * DAY))
    for number in range(80):
        due = midnight - 4 * HOUR + number * 10 * MINUTE
        run = Run(f"rates-{number}", due, "finished", due, due + MINUTE, "worker-1", "default", due)
        connection.lpush(runs_key(job.id), run.to_text())
    skip = Skip(midnight + HOUR, midnight + 2 * HOUR, 7, "overlap", midnight + 2 * HOUR)
    connection.rpush(skipped_key(job.id), skip.to_text())
    schedule("mail:digest", cron="0 7 * * *").disable()
    led = {"token": "prime x", "since": utc_text(midnight - 9 * DAY), "end": "died"}
    connection.rpush(REIGNS, json.dumps({**led, "until": utc_text(midnight + 4.2 * HOUR)}))
    led = {"token": "prime y", "since": utc_text(midnight + 5 * HOUR), "end": "stopped"}
    connection.lpush(REIGNS, json.dumps({**led, "until": utc_text(now)}))
    return midnight


def test_shows_the_last_night(log_in: LogIn, yesterday: datetime) -> None:
    page = log_in(viewport={"width": 1600, "height": 800})
    page.get_by_role("link", name="Timeline").click()
    page.get_by_role("link", name="Last night").click()
    expect(page.get_by_role("link", name="Last night")).to_have_attribute("aria-current", "true")
    lanes = page.locator(".rediscron-lanes section .rediscron-lane")
    expect(lanes).to_have_count(8)
    expect(page.locator(".rediscron-m.failed > title")).to_contain_text("billing:invoices: ")
    expect(page.locator(".rediscron-peak")).to_have_text("3 at 01:30")
    take_screenshot(page, "timeline")
    expect(page.locator(".rediscron-m.failed")).to_have_attribute("href", re.compile("job-2/$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1600])
@pytest.mark.parametrize("range", ["last-night", "tonight"])
def test_fits_and_can_be_read(
    range: str, width: int, scheme: str, log_in: LogIn, yesterday: datetime
) -> None:
    page = log_in(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"{PAGE}?range={range}&all=1")
    scrolled: Any = page.evaluate("document.documentElement.scrollWidth")
    assert scrolled <= width
    texts = ".rediscron-timeline :is(p, a.button, h2, h3, caption, td, th, summary, label)"
    assert too_dim(page.locator(f"{texts}:visible")) == []
    assert too_dim(page.locator(".rediscron-rows .rediscron-mark:visible")) == []
    expect(page.locator(".rediscron-rows tr").nth(3)).to_be_visible()
    if (range, width, scheme) == ("tonight", PHONE["width"], "dark"):
        take_screenshot(page, "phone-timeline")


def test_the_keyboard_reaches_everything(log_in: LogIn, yesterday: datetime) -> None:
    page = log_in()
    page.goto(f"{PAGE}?range=tonight")
    page.get_by_text("Other times, zone and filters").focus()
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Queue").select_option("reports")
    page.get_by_role("combobox", name="Queue").press("Tab")
    page.get_by_role("button", name="Filter").press("Enter")
    expect(page).to_have_url(re.compile("range=tonight.*queue=reports"))
    table = page.get_by_role("table", name="In time order")
    expect(table.get_by_role("rowheader", name="billing:invoices")).to_be_visible()
    hidden = page.locator(".rediscron-lanes svg a:not([tabindex='-1'])")
    expect(hidden).to_have_count(0)


def test_stays_fresh(log_in: LogIn, yesterday: datetime, schedule: Make) -> None:
    page = log_in()
    page.clock.install()
    page.goto(f"{PAGE}?range=week")
    expect(page.get_by_role("rowheader", name="newcomer")).to_have_count(0)
    schedule("newcomer", cron="0 12 * * *")
    with page.expect_response("**/timeline/**"):
        page.clock.run_for(16_000)
    expect(page.get_by_role("rowheader", name="newcomer").first).to_be_visible()
    # who is logged out meanwhile gets the page to log in
    page.route("**/timeline/**", lambda route: route.fulfill(content_type="text/html", body="<p>"))
    page.clock.run_for(16_000)
    expect(page.locator(".rediscron-stale")).to_contain_text("not up to date")
    expect(page.get_by_role("rowheader", name="newcomer").first).to_be_visible()
