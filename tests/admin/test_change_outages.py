"""Redis goes away: a message and a usable page, and nothing that was typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from .conftest import LIST
from .forms import ADD, change_url

JOB = change_url("job")


@pytest.fixture(autouse=True)
def away(settings: Any) -> None:
    """Nobody listens there."""
    settings.REDISCRON = {"QUEUE": "nowhere"}


@pytest.mark.parametrize(
    "url",
    [JOB, f"{LIST}job/delete/", f"{LIST}job/history/", f"{LIST}job/run/", f"{LIST}job/disable/"],
)
def test_pages_say_so(url: str, operator: Client) -> None:
    response = operator.get(url)
    assert response.status_code == 503
    assert "cannot be reached" in response.text
    assert "127.0.0.1:1" in response.text
    assert "secret" not in response.text
    assert "Log out" in response.text


@pytest.mark.parametrize("url", [ADD, JOB, f"{LIST}job/run/", f"{LIST}job/reset/"])
def test_what_was_sent_can_be_sent_again(url: str, operator: Client) -> None:
    sent = {"id": "new", "func_name": "tests.app.tasks.build_report", "args": '["<b>"]'}
    sent |= {"cron": "@daily", "queue_name": "nowhere", "_save": "Save"}
    response = operator.post(url, sent)
    assert response.status_code == 503
    assert '<input type="hidden" name="args" value="[&quot;&lt;b&gt;&quot;]">' in response.text
    assert response.text.count("csrfmiddlewaretoken") >= 1


def test_an_empty_form_needs_no_redis(operator: Client) -> None:
    assert operator.get(ADD).status_code == 200
