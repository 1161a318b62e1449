"""The list in a browser: found, filtered, acted on, and fresh without a reload."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from redis import Redis
from rq import Queue, SimpleWorker

from django_rediscron import RedisCronJob
from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.timing.cron_times import utc_text

from .conftest import PHONE, take_screenshot, too_dim

LIST = "/admin/django_rediscron/schedule/"
LogIn = Callable[..., Page]
Make = Callable[..., RedisCronJob]


@pytest.fixture
def several(schedule: Make) -> None:
    schedule("mail:daily", queue_name="reports", cron="30 6 * * mon-fri")
    schedule("mail:weekly", cron="0 7 * * mon", timezone="Europe/Berlin")
    schedule("backup", cron="0 3 * * *").disable()


def ids(page: Page) -> list[str]:
    return page.locator("#result_list .rediscron-id").all_inner_texts()


def test_shows_at_a_glance_what_runs_and_how_it_went(
    log_in: LogIn, schedule: Make, connection: Redis
) -> None:
    def run(id: str, *statuses: str, **options: Any) -> None:
        job = schedule(id, **options)
        for status in statuses:
            connection.hset(job.enqueue(connection).key, "status", status)

    berlin = {"timezone": "Europe/Berlin"}
    fine = ["finished"] * 9
    run("backup/database", *fine, "finished", cron="0 3 * * *")
    billing = {"cron": "30 6 1 * *", "queue_name": "reports", **berlin}
    run("billing:invoices", *fine[:6], "stopped", "finished", "failed", "failed", **billing)
    refresh = {"interval": 900, "func_name": "tests.app.tasks.build_report"}
    run("rates:refresh", *fine[:3], "failed", *fine[:4], "canceled", "started", **refresh)
    schedule("reports:daily", cron="30 6 * * mon-fri", queue_name="reports", **berlin)
    schedule("reports:weekly", cron="0 7 * * mon", queue_name="reports").disable()
    schedule("search:reindex", cron="@hourly")
    due = datetime.now(timezone.utc) - timedelta(minutes=3)
    wrong = {"func_name": "search.tasks.reindex", "next_enqueue_time": utc_text(due)}
    connection.hset("rq:cron_job:search:reindex", mapping=wrong)
    connection.zadd("rq:cron_jobs", {"search:reindex": due.timestamp()})
    scheduler = RedisCronScheduler(connection, name="scheduler-1")
    scheduler.register_birth()
    scheduler.enqueue_jobs()
    queues = [Queue(name, connection=connection) for name in ("default", "reports")]
    SimpleWorker(queues, connection=connection).register_birth()
    page = log_in(viewport={"width": 1600, "height": 760})
    expect(page.locator("#rediscron-banner")).to_contain_text("Scheduler running")
    states = page.locator(".field-current_state")
    expect(states.nth(5)).to_contain_text("cannot be imported")
    expect(page.locator(".field-last_run").nth(1)).to_contain_text("failed")
    take_screenshot(page, "list")
    scheduler.register_death()


def test_wrong_passwords_see_nothing(log_in: LogIn, several: None) -> None:
    page = log_in()
    page.context.clear_cookies()
    page.goto(LIST)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Please enter the correct")).to_be_visible()
    expect(page.get_by_text("mail:daily")).to_have_count(0)


def test_searches_and_filters_and_sorts(log_in: LogIn, several: None) -> None:
    page = log_in()
    assert ids(page) == ["backup", "mail:daily", "mail:weekly"]
    page.locator("#searchbar").fill("MAIL")
    page.locator("#searchbar").press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.locator("#changelist-filter").get_by_role("link", name="reports").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert ids(page) == ["mail:daily"]
    page.goto(LIST)
    page.locator("#changelist-filter").get_by_role("link", name="disabled").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert ids(page) == ["backup"]
    page.goto(LIST)
    page.locator("th.column-named .text a").click()
    expect(page.locator("#result_list .rediscron-id").first).to_have_text("mail:weekly")


def test_acts_on_what_is_selected(log_in: LogIn, several: None, connection: Redis) -> None:
    page = log_in()
    for box in page.locator(".action-select").all():
        box.check()
    page.get_by_label("Action:").select_option("enable_selected")
    page.locator("button[name=index]").click()
    expect(page.locator(".messagelist")).to_contain_text("1 enabled, 2 were so already.")
    assert RedisCronJob.fetch("backup", connection).enabled

    page.get_by_role("checkbox", name="backup").check()
    page.get_by_label("Action:").select_option("delete_selected")
    page.locator("button[name=index]").click()
    expect(page.get_by_text("Are you sure")).to_be_visible()
    assert connection.exists("rq:cron_job:backup")
    page.get_by_role("button", name="Yes, I’m sure").click()
    expect(page.locator(".messagelist")).to_contain_text("1 deleted.")
    assert ids(page) == ["mail:daily", "mail:weekly"]
    page.goto(f"{LIST}mail:daily/history/".replace(":", "_3A"))
    expect(page.locator("#main")).to_be_visible()


def test_who_may_only_look_is_offered_no_action(log_in: LogIn, several: None) -> None:
    page = log_in("view")
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    expect(page.get_by_label("Action:")).to_have_count(0)
    expect(page.locator(".action-select")).to_have_count(0)
    expect(page.get_by_role("link", name="Add schedule")).to_have_count(0)


def test_stays_fresh_and_keeps_what_is_selected(
    log_in: LogIn, several: None, connection: Redis
) -> None:
    page = log_in()
    banner = page.locator("#rediscron-banner")
    expect(banner).to_contain_text("No scheduler is running")
    page.locator(".action-select").nth(1).check()
    page.locator("#searchbar").fill("half of a wo")
    scheduler = RedisCronScheduler(connection, name="prime")
    scheduler.register_birth()
    RedisCronJob.fetch("mail:weekly", connection).disable()
    RedisCronJob.fetch("backup", connection).delete()

    rows = page.locator("#result_list tbody tr")
    expect(rows.nth(2).locator(".field-current_state")).to_have_text("disabled", timeout=20_000)
    expect(rows.nth(0).locator(".field-current_state")).to_have_text("deleted")
    expect(banner.get_by_role("status").first).to_contain_text("Scheduler running")
    expect(banner).to_contain_text("leader: prime")
    expect(page.locator(".action-select").nth(1)).to_be_checked()
    expect(page.locator("#searchbar")).to_have_value("half of a wo")
    expect(page.locator(".action-counter")).to_contain_text("1 of 3 selected")
    scheduler.register_death()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_was_deleted_can_be_read(
    scheme: str, log_in: LogIn, several: None, connection: Redis
) -> None:
    page = log_in(color_scheme=scheme)
    RedisCronJob.fetch("backup", connection).delete()
    row = page.locator("#result_list tr.rediscron-gone")
    expect(row).to_contain_text("deleted", timeout=20_000)
    assert too_dim(row.locator(".field-timing, .field-queue_name")) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_marks_of_outcomes_can_be_read(
    scheme: str, log_in: LogIn, schedule: Make, connection: Redis
) -> None:
    job = schedule("job")
    for status in ("finished", "failed", "stopped", "canceled", "started", "queued", "unknown"):
        connection.hset(job.enqueue(connection).key, "status", status)
    page = log_in(color_scheme=scheme)
    marks = page.locator(".rediscron-marks .rediscron-mark")
    expect(marks).to_have_count(7)
    expect(
        page.get_by_role("img", name="Last runs, oldest first: finished, failed")
    ).to_be_visible()
    assert too_dim(marks) == []


def test_asks_nothing_while_it_is_hidden(log_in: LogIn, several: None) -> None:
    page = log_in()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    page.reload()
    asked.clear()
    hide(page, True)
    page.clock.run_for(120_000)
    assert not [url for url in asked if url.endswith("/refresh/")]
    with page.expect_request("**/refresh/"):
        hide(page, False)
    with page.expect_request("**/refresh/"):
        page.clock.run_for(6_000)


def test_says_so_where_it_cannot_be_refreshed(log_in: LogIn, several: None) -> None:
    page = log_in()
    # who is logged out meanwhile gets the page to log in
    page.route("**/refresh/", lambda route: route.fulfill(content_type="text/html", body="<p>"))
    told = page.locator("#rediscron-banner").get_by_role("status")
    expect(told.last).to_contain_text("not up to date", timeout=20_000)
    assert ids(page) == ["backup", "mail:daily", "mail:weekly"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_fits_in_both_themes_and_on_a_phone(
    scheme: str, viewport: dict[str, int], log_in: LogIn, several: None, schedule: Make
) -> None:
    schedule("reports/" + "very-long-name-" * 12)
    page = log_in(color_scheme=scheme, viewport=viewport)
    width: Any = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    for cell in page.locator("#result_list .field-next_run time").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= viewport["width"]
    if scheme == "dark" and viewport is PHONE:
        take_screenshot(page, "phone-list")


def test_sixty_schedules_are_two_screens(log_in: LogIn, schedule: Make) -> None:
    crons = ("*/10 8-18 * * mon-fri", "0 0 1 1 *", "0 9,12,15 * * *")
    for number in range(60):
        schedule(f"mail:newsletter-weekly-{number}", cron=crons[number % 3], tags=["one", "other"])
    page = log_in(viewport={"width": 1600, "height": 900})
    box = page.locator("#result_list").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 2 * 900


def test_state_and_next_run_are_in_sight_on_a_phone(log_in: LogIn, schedule: Make) -> None:
    schedule("mail:newsletter-weekly", cron="0 0 1 1 *", tags=["finance", "nightly"])
    page = log_in(viewport=PHONE)
    for column in ("current_state", "next_run"):
        cell = page.locator(f"#result_list tbody .field-{column}").bounding_box()
        assert cell is not None
        assert cell["x"] + cell["width"] <= PHONE["width"]
        assert cell["y"] + cell["height"] <= PHONE["height"]


def hide(page: Page, hidden: bool) -> None:
    """As if another tab came to the front, or this one again."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
