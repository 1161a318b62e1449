"""The admin in a real browser: Debian's Chromium, driven by Playwright, under a strict CSP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright
from redis import Redis

from django_rediscron import RedisCronJob

# Playwright keeps an event loop in this thread, which Django would take for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

CHROMIUM = "/usr/bin/chromium"
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
NAMES = ("alice", "bob", "carol")
PERMISSIONS = ("view", "add", "change", "delete", "run")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium of each process. Where tests have to run, one that is missing is a failure."""
    if not Path(CHROMIUM).exists() and not os.environ.get("CI"):
        pytest.skip(f"needs {CHROMIUM}")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture(autouse=True)
def _site(settings: Any, transactional_db: None, rq_queues: None, connection: Redis) -> None:
    """An empty Redis, and a policy that forbids scripts and styles inside of pages."""
    settings.MIDDLEWARE = ["tests.browser.policy.strict", *settings.MIDDLEWARE]


@pytest.fixture
def log_in(browser: Browser, live_server: Any) -> Iterator[Callable[..., Page]]:
    """Open a browser of a user with these permissions, by default all, at the list.

    Whatever the browser complains about, as of the policy, fails the test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(*permissions: str, **options: Any) -> Page:
        permissions = permissions or PERMISSIONS
        name = NAMES[len(contexts)]
        user = User.objects.create_user(name, password="secret", is_staff=True)
        for each in permissions:
            user.user_permissions.add(Permission.objects.get(codename=f"{each}_schedule"))
        context = browser.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        page = context.new_page()
        context.on("console", lambda message: _note(message, complaints))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page.goto("/admin/login/?next=/admin/django_rediscron/schedule/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill("secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_load_state()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def schedule(connection: Redis) -> Callable[..., RedisCronJob]:
    """Make a schedule that is stored."""

    def make(id: str, **options: Any) -> RedisCronJob:
        options.setdefault("func_name", "tests.app.tasks.build_report")
        options.setdefault("args", ("daily",))
        if "cron" not in options:
            options.setdefault("interval", 300)
        job = RedisCronJob(
            id, options.pop("queue_name", "default"), connection=connection, **options
        )
        job.save()
        return job

    return make


def take_screenshot(page: Page, name: str) -> None:
    """Keep a picture for the documentation, where the environment names a directory for them.

    Made again by `REDISCRON_SCREENSHOTS=docs/images tox run -e browser`.
    """
    directory = os.environ.get("REDISCRON_SCREENSHOTS")
    if directory:
        page.screenshot(path=Path(directory) / f"{name}.png")


def too_dim(places: Locator) -> list[str]:
    """Those whose text can hardly be read before what lies behind it, by WCAG 2.1 (1.4.3)."""
    found: list[str] = places.evaluate_all(
        """places => {
            const canvas = document.createElement("canvas")
                .getContext("2d", {willReadFrequently: true});
            const known = new Map();
            const channels = colour => {
                if (!known.has(colour)) {
                    canvas.clearRect(0, 0, 1, 1);
                    canvas.fillStyle = colour;
                    canvas.fillRect(0, 0, 1, 1);
                    known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
                }
                return known.get(colour);
            };
            const luminance = colour => channels(colour).slice(0, 3)
                .map(each => each / 255)
                .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
                .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
            const contrast = place => {
                let opacity = 1, behind = place;
                for (let each = place; each; each = each.parentElement) {
                    opacity *= getComputedStyle(each).opacity;
                }
                if (opacity < 1) {
                    return 1; // what shines through is not looked at here
                }
                while (channels(getComputedStyle(behind).backgroundColor)[3] < 255) {
                    behind = behind.parentElement;
                }
                const [text, ground] = [getComputedStyle(place).color,
                    getComputedStyle(behind).backgroundColor].map(luminance);
                return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
            };
            return places.filter(place => contrast(place) < 4.5)
                .map(place => place.outerHTML.slice(0, 80));
        }"""
    )
    return found


def _note(message: Any, complaints: list[str]) -> None:
    is_expected = "favicon" in str(message.location) or "status of 503" in message.text  # an outage
    if message.type == "error" and not is_expected:
        complaints.append(message.text)
