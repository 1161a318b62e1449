"""The parameters of a function as inputs, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import PHONE, take_screenshot, too_dim

LIST = "/admin/django_rediscron/schedule/"
CHANGE = f"{LIST}job/change/"
CHARGE = "tests.app.typed.charge"
LogIn = Callable[..., Page]
Make = Callable[..., RedisCronJob]


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.REDISCRON = {"ALLOWED_FUNCTIONS": ["tests.app.typed.*"]}


def test_inputs_appear_and_become_json(log_in: LogIn, connection: Redis) -> None:
    page = log_in()
    page.goto(f"{LIST}add/")
    expect(page.locator("#id_args")).to_be_visible()
    page.locator("#id_id").fill("new")
    page.locator("#id_cron").fill("@daily")
    page.locator("#id_func_name").fill(CHARGE)
    expect(page.locator("#id_param-customer")).to_be_visible()
    expect(page.locator("#id_args")).to_be_hidden()
    problem = page.locator(".rediscron-problem")
    expect(problem).to_have_text("Still needed: customer, amount")
    page.get_by_label("customer").fill("ACME")
    expect(problem).to_have_text("Still needed: amount")
    page.get_by_label("amount").fill("much")
    expect(page.locator("#id_param-amount_error")).to_have_text("Enter a number.")
    page.get_by_role("button", name="Edit as JSON").click()
    expect(page.locator("#id_param-amount")).to_be_focused()
    page.get_by_label("amount").fill("9.90")
    page.get_by_label("plan").select_option("pro")
    page.get_by_role("button", name="Edit as JSON").click()
    expect(page.locator("#id_kwargs")).to_have_value(
        '{"customer": "ACME", "amount": "9.90", "plan": "pro"}'
    )
    page.locator("#id_kwargs").fill('{"amount": "9.90", "customer": "Bolt", "other": 1}')
    expect(problem).to_contain_text("unexpected keyword argument 'other'")
    page.get_by_role("button", name="Edit by parameter").click()
    expect(page.locator(".rediscron-inputs")).to_contain_text("do not fit")
    page.locator("#id_kwargs").fill('{"amount": "9.90", "customer": "Bolt"}')
    page.get_by_role("button", name="Edit by parameter").click()
    expect(page.get_by_label("customer")).to_have_value("Bolt")
    page.get_by_label("invoices").fill("3")
    page.get_by_role("button", name="Save", exact=True).click()  # faster than any script
    expect(page.get_by_text("was added successfully")).to_be_visible()
    job = RedisCronJob.fetch("new", connection)
    assert (job.args, job.kwargs) == ((), {"amount": "9.90", "customer": "Bolt", "invoices": 3})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE])
def test_inputs_and_their_errors_fit(
    scheme: str, viewport: dict[str, int], log_in: LogIn, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=CHARGE, args=("ACME",), kwargs={"amount": "9.90", "api_key": "x"})
    before = connection.hgetall("rq:cron_job:job")
    page = log_in(color_scheme=scheme, viewport=viewport)
    page.goto(CHANGE)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert connection.hgetall("rq:cron_job:job") == before
    page.goto(CHANGE)
    page.get_by_label("customer").fill("")
    page.get_by_label("invoices").fill("many")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#id_param-invoices_error")).to_have_text("Enter a whole number.")
    expect(page.locator("#id_param-customer_error")).to_have_text("This field is required.")
    expect(page.locator("#id_param-api_key")).to_have_value("********")
    width: Any = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    assert too_dim(page.locator(".rediscron-parameters :is(p, .help, label, li, button)")) == []
    page.locator("#id_func_name").scroll_into_view_if_needed()
    take_screenshot(page, f"call-{scheme}-{viewport['width']}")
