"""One schedule in a browser: adding, changing and running it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import PHONE, take_screenshot

LIST = "/admin/django_rediscron/schedule/"
CHANGE = f"{LIST}job/change/"
LogIn = Callable[..., Page]
Make = Callable[..., RedisCronJob]


def test_adds_with_a_wrong_and_then_a_right_expression(log_in: LogIn, connection: Redis) -> None:
    page = log_in()
    page.goto(f"{LIST}add/")
    preview = page.locator("#rediscron-preview")
    expect(preview).to_contain_text("Give an interval or a cron expression")
    page.locator("#id_id").fill("reports:daily")
    page.locator("#id_func_name").fill("tests.app.tasks.build_report")
    page.get_by_role("button", name="Edit as JSON").click()
    page.locator("#id_args").fill('["daily"')
    page.locator("#id_cron").press_sequentially("61 6 * * mon-fri")
    expect(preview).to_contain_text("not valid")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("line 1, column 9")).to_be_visible()
    page.wait_for_load_state("networkidle")
    told = page.locator(".errorlist").get_by_text("minute must be 0-59")
    expect(told).to_have_count(1)
    expect(preview.locator(".errorlist")).to_have_count(0)
    page.locator("#id_cron").fill("62 6 * * mon-fri")
    expect(preview).to_contain_text("got '62'")
    expect(told).to_have_count(1)
    assert not connection.keys("rq:cron_job:*")

    page.locator("#id_args").fill('["daily"]')
    page.get_by_role("button", name="Edit by parameter").click()
    expect(page.get_by_label("name", exact=True)).to_have_value("daily")
    page.locator("#id_cron").fill("30 6 * * mon-fri")
    page.locator("#id_timezone").fill("Europe/Berlin")
    expect(preview.locator("li")).to_have_count(10)
    expect(preview).to_contain_text("Monday to Friday")
    # Read out are the sentence and the first of these times.
    status = page.locator("#rediscron-preview-status")
    expect(status).to_have_text(re.compile("Monday to Friday.{0,60}$"))
    preview.scroll_into_view_if_needed()
    take_screenshot(page, "add")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was added successfully")).to_be_visible()
    job = RedisCronJob.fetch("reports:daily", connection)
    assert (job.cron, job.timezone, job.args) == ("30 6 * * mon-fri", "Europe/Berlin", ("daily",))


def test_the_preview_follows_the_calendar_too(log_in: LogIn, schedule: Make) -> None:
    schedule("job", interval=3600)
    page = log_in()
    page.goto(CHANGE)
    page.get_by_text("Start, end and limits").click()
    page.locator(".field-start_at .datetimeshortcuts a", has_text="Today").first.click()
    page.locator(".field-start_at .datetimeshortcuts a", has_text="Now").first.click()
    expect(page.locator("#rediscron-preview li")).to_have_count(10)
    page.locator("#id_max_runs").fill("2")
    expect(page.locator("#rediscron-preview li")).to_have_count(2)


def test_a_copy_shows_when_it_will_run(log_in: LogIn, schedule: Make) -> None:
    schedule("job", interval=3600)
    page = log_in()
    page.goto(CHANGE)
    page.get_by_role("link", name="Copy").click()
    expect(page.locator("#id_id")).to_have_value("job-copy")
    expect(page.locator("#rediscron-preview li")).to_have_count(10)


def test_two_tabs_in_conflict(log_in: LogIn, schedule: Make, connection: Redis) -> None:
    schedule("job", interval=300)
    mine, theirs = log_in(), log_in("view", "change")
    mine.goto(CHANGE)
    theirs.goto(CHANGE)
    theirs.locator("#id_interval").fill("600")
    theirs.get_by_label("pages").fill("7")
    theirs.get_by_role("button", name="Save", exact=True).click()
    expect(theirs.get_by_text("was changed successfully")).to_be_visible()

    mine.locator("#id_interval").fill("900")
    mine.get_by_role("button", name="Save", exact=True).click()

    told = mine.locator(".errorlist.nonfield")
    expect(told).to_contain_text("bob changed this schedule")
    expect(told).to_contain_text("interval: 300 → 600")
    expect(told).to_contain_text("yours: 900")
    expect(mine.get_by_label("pages")).to_have_value("7")
    take_screenshot(mine, "conflict")
    mine.get_by_role("button", name="Save", exact=True).click()
    expect(mine.get_by_text("was changed successfully")).to_be_visible()
    job = RedisCronJob.fetch("job", connection)
    assert (job.interval, job.kwargs) == (900, {"pages": 7})


def test_its_state_stays_fresh_and_nothing_moves_while_one_types(
    log_in: LogIn, schedule: Make, connection: Redis
) -> None:
    job = schedule("job", interval=300)
    page = log_in("view", "change")
    page.goto(CHANGE)
    state = page.locator(".rediscron-state")
    expect(state).to_contain_text("enabled")
    job.disable(actor="admin:carol")
    expect(state).to_contain_text("by admin:carol", timeout=20_000)
    expect(page.locator(".rediscron-news")).to_have_text("disabled")
    notice = page.locator(".rediscron-changed")
    expect(notice).to_contain_text("Changed meanwhile by carol")
    page.locator("#id_interval").fill("60")
    job.enable()
    with page.expect_response(re.compile("/happened/")):
        pass
    with page.expect_response(re.compile("/happened/")):
        pass
    expect(state).to_contain_text("by admin:carol")
    expect(page.locator("#id_interval")).to_have_value("60")
    page.locator("#id_interval").blur()
    expect(state).not_to_contain_text("by admin:carol", timeout=20_000)


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_what_happened_is_in_sight_and_after_an_error_what_is_wrong(
    viewport: dict[str, int], log_in: LogIn, schedule: Make
) -> None:
    schedule("job", interval=300)
    page = log_in(viewport=viewport)
    page.goto(CHANGE)
    for place in (".rediscron-state dl", ".rediscron-around", ".rediscron-answers"):
        expect(page.locator(place)).to_be_in_viewport(ratio=1)
    page.get_by_role("link", name="Settings").press("Enter")
    expect(page.locator("#rediscron-settings")).to_be_in_viewport()
    page.locator("#id_interval").fill("soon")
    page.locator("#id_interval").press("Enter")
    expect(page.locator("#id_interval")).to_be_focused()
    expect(page.locator(".errorlist").first).to_be_in_viewport()


def test_runs_now_until_a_worker_has_finished_it(
    log_in: LogIn, schedule: Make, connection: Redis
) -> None:
    schedule("job", cron="0 3 1 1 *")
    schedule("reports:daily", cron="30 6 * * mon-fri", timezone="Europe/Berlin")
    schedule("reports:weekly", cron="0 7 * * mon", timezone="America/New_York").disable()
    schedule("rates:refresh", interval=900)
    page = log_in()
    expect(page.locator("#result_list tbody tr")).to_have_count(4)
    other = page.context.new_page()
    other.goto(CHANGE)
    other.get_by_role("link", name="Run now").click()
    other.get_by_role("button", name="Run now").click()
    expect(other.locator(".messagelist")).to_contain_text("was enqueued as job")
    expect(other.locator(".messagelist a")).to_be_visible()
    expect(page.locator("#result_list")).to_contain_text("queued", timeout=30_000)

    subprocess.run(
        [sys.executable, "-m", "django", "rqworker", "--burst", "default"]
        + ["--settings", "tests.settings"],
        check=True,
        capture_output=True,
        timeout=60,
    )

    # by itself: nobody reloads the page
    expect(page.locator("#result_list")).to_contain_text("finished", timeout=30_000)
    other.reload()
    expect(other.locator(".rediscron-details")).to_contain_text("Finished")


def test_a_double_click_runs_it_once(log_in: LogIn, schedule: Make, connection: Redis) -> None:
    schedule("job")
    page = log_in()
    page.goto(f"{LIST}job/run/")
    # Chromium alone mostly sends a double click once, too: so ask our script.
    sent = page.evaluate(
        """() => [1, 2].map(() => document.querySelector("form[data-once]").dispatchEvent(
            new Event("submit", {cancelable: true})))"""
    )
    assert sent == [True, False]
    page.reload()
    page.get_by_role("button", name="Run now").dblclick()
    expect(page.locator(".messagelist")).to_contain_text("was enqueued as job")
    assert connection.llen("rq:queue:default") == 1


def test_who_may_only_look_finds_nothing_to_change(log_in: LogIn, schedule: Make) -> None:
    schedule("job")
    page = log_in("view")
    page.goto(CHANGE)
    expect(page.get_by_text("tests.app.tasks.build_report").first).to_be_visible()
    assert page.locator("#schedule_form").locator("input:visible, select, textarea").count() == 0
    expect(page.get_by_role("link", name="Run now")).to_have_count(0)
    assert page.request.get(f"{LIST}job/run/").status == 403
    assert page.request.get(f"{LIST}add/").status == 403


def test_all_can_be_done_with_the_keyboard(log_in: LogIn, connection: Redis) -> None:
    page = log_in()
    page.goto(f"{LIST}add/")
    page.locator("#id_id").focus()
    for typed in ("keys", "", " ", "tests.app.tasks.build_report"):
        if typed != " ":  # the box is checked already
            page.keyboard.type(typed)
        page.keyboard.press("Tab")
    expect(page.locator("#id_param-name")).to_be_focused()  # in place of the JSON
    page.keyboard.type("x")
    page.keyboard.press("Tab")
    page.keyboard.type("7")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#id_kwargs").focus()
    expect(page.locator("#id_kwargs")).to_have_value('{"name": "x", "pages": 7}')
    page.locator("#id_interval").focus()
    page.keyboard.type("10m")
    page.keyboard.press("Enter")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert RedisCronJob.fetch("keys", connection).interval == 600


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_pages_fit_in_both_themes_and_on_a_phone(
    scheme: str, viewport: dict[str, int], log_in: LogIn, schedule: Make, connection: Redis
) -> None:
    schedule("job", cron="30 2 * * *", timezone="Europe/Berlin", jitter=30, name="x" * 200)
    long = "reports/" + "very-long-name-" * 12
    schedule(long, args=("x" * 400,)).enqueue(connection)
    page = log_in(color_scheme=scheme, viewport=viewport)
    for path in (CHANGE, f"{LIST}job/run/", f"{LIST}add/"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        width: Any = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], path
        expect(page.locator(".breadcrumbs")).to_contain_text("Schedules")
        if path == CHANGE and scheme == "dark" and viewport is PHONE:
            take_screenshot(page, "phone")
