"""Themes that people use: our pages fit, and nothing lies over what is to be clicked."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page
from redis import Redis

from django_rediscron.core.scheduler import RedisCronScheduler
from tests import server
from tests.processes import wait_until

LIST = "/admin/django_rediscron/schedule/"
WIDTHS = (390, 1280, 1600)
USER = Path(__file__).parent / "themes" / "user.json"
TOOLS = {
    "": ["Timeline", "Deleted schedules"],
    "reports/change/": ["Settings", "Run now", "Disable", "Copy", "JSON"],
}
# What is to be seen and clicked on each page.
PAGES = {
    "": ["#rediscron-banner .rediscron-banner", "#result_list .rediscron-id >> nth=0"],
    "add/": ["#id_id", "[name=_save]"],
    "reports/change/": [
        ".rediscron-state",
        "[name=_save]",
        ".rediscron-story ol a >> nth=0",
        ".rediscron-why .button",
    ],
    "timeline/?range=tonight": ["text=Last night", "summary", ".rediscron-rows tbody a >> nth=0"],
    "reports/run/": ["[type=submit][value='Run now']", ".closelink"],
    "reports/disable/": ["[type=submit][value='Disable']", ".closelink"],
    "deleted/": [".rediscron-deleted a"],
    "gone/deleted/": [".rediscron-state a.button"],
}


@pytest.fixture(scope="module", params=["plain", "unfold", "jazzmin"])
def site(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a site with this theme."""
    name = request.param
    if name != "plain" and not os.environ.get("CI") and not importlib.util.find_spec(name):
        pytest.skip(f"needs django-{name}")
    port = server.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "testserver", str(USER), "--noinput"]
        + ["--addrport", f"127.0.0.1:{port}", "--settings", f"tests.browser.themes.{name}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(process, port), timeout=120)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def page(browser: Browser, site: str, connection: Redis, schedule: Any) -> Iterator[Page]:
    """A browser that is logged in, at the list of some schedules."""
    for id in ("reports", "gone"):
        job = schedule(id, cron="*/20 * * * *", timezone="Europe/Berlin", tags=["money"])
        job.enqueue(connection)
    job.delete(actor="admin:carol")
    RedisCronScheduler(connection, name="prime").start(burst=True)
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.goto(f"/admin/login/?next={LIST}")
    page.locator("[name=username]").fill("alice")
    page.locator("[name=password]").fill("secret")
    page.locator("[type=submit]").first.click()
    page.wait_for_url(f"**{LIST}")
    yield page
    context.close()


def test_pages_fit_and_nothing_is_covered(page: Page) -> None:
    wrong = []
    for path, places in PAGES.items():
        page.goto(LIST + path)
        links = [page.get_by_role("link", name=each, exact=True) for each in TOOLS.get(path, [])]
        menu = page.get_by_text("more_horiz")  # unfold's, on a phone
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            for place in [*(page.locator(each) for each in places), *links]:
                if place in links and menu.is_visible() and not place.is_visible():
                    menu.click()
                try:
                    place.first.click(trial=True, timeout=5_000)
                except Error:
                    wrong.append(f"{path}, {width} px: {place} cannot be clicked")
            if page.locator(".actions .select2").count() and width == min(WIDTHS):
                continue  # django-jazzmin makes the choice of an action as wide as its longest text
            try:
                fits = "width => document.documentElement.scrollWidth <= width"
                page.wait_for_function(fits, arg=width, timeout=5_000)
            except Error:
                wrong.append(f"{path}, {width} px: is too wide")
    assert not wrong, "\n".join(wrong)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, f"it ended with status {process.returncode}"
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
