"""Forms with large arguments, and errors where nobody would look for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob

from .forms import ADD, change_url, errors, inputs, load, send

Make = Callable[..., RedisCronJob]

URL = change_url("job")
BUILD = "tests.app.tasks.build_report"


@pytest.mark.parametrize(
    ("large", "share"),
    [("é" * 150_000, 1), ([[each % 10] for each in range(20_000)], 10)],
    ids=["text", "list"],
)
def test_large_arguments_can_be_saved_again_and_again(
    large: Any, share: int, operator: Client, schedule: Make, connection: Redis, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE //= share
    schedule("job", func_name=BUILD, args=(large,))
    for interval in (70, 80):
        # In the form as in Redis: about a megabyte, and Django takes 2.5; or that share of both.
        assert send(operator, URL, load(operator, URL), interval=str(interval)).status_code == 302
    assert RedisCronJob.fetch("job", connection).args == (large,)


def test_the_form_does_not_carry_large_values_twice(operator: Client, schedule: Make) -> None:
    schedule("job", func_name=BUILD, args=("ab" * 10_000,))
    assert 'enctype="multipart/form-data"' in operator.get(URL).text
    assert len(load(operator, URL)["base"]) < 5000


def test_what_somebody_else_did_to_large_arguments_is_told(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    job = schedule("job", func_name=BUILD, args=("a" * 5000,))
    untouched, touched = load(operator, URL), load(operator, URL)
    job.args = ("b" * 5000,)
    job.save()

    refused = send(operator, URL, untouched, interval="70")
    (told,) = errors(refused)["__all__"]
    assert "<strong>arguments</strong>: <del>[&quot;aaa" in told
    assert "<ins>[&quot;bbb" in told
    assert "yours:" not in told
    assert send(operator, URL, inputs(refused)).status_code == 302
    after = RedisCronJob.fetch("job", connection)
    assert (after.interval, after.args) == (70, ("b" * 5000,))

    refused = send(operator, URL, touched, args=json.dumps(["c" * 5000]))
    (told,) = errors(refused)["__all__"]
    assert "yours: <strong>[&quot;ccc" in told
    assert send(operator, URL, inputs(refused)).status_code == 302
    assert RedisCronJob.fetch("job", connection).args == ("c" * 5000,)


@pytest.mark.parametrize("url", [ADD, URL])
def test_what_is_too_large_for_the_site_is_told(
    url: str, operator: Client, schedule: Make, connection: Redis, settings: Any
) -> None:
    schedule("job", func_name=BUILD, args=("x",))
    stored = connection.hgetall("rq:cron_job:job")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20_000
    values = {**load(operator, url), "id": "new", "func_name": BUILD}
    response = send(operator, url, values, args=json.dumps(["x" * 30_000]))
    assert response.status_code == 413
    assert "at most 19.5 KB" in response.text.replace("\xa0", " ")
    assert "Nothing was saved" in response.text
    assert connection.hgetall("rq:cron_job:job") == stored
    assert connection.keys("rq:cron_job:new") == []


@pytest.mark.parametrize("url", [ADD, URL])
def test_forms_are_protected_against_other_sites_as_ever(
    url: str, operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=BUILD, args=("x",))
    values = {**load(operator, url), "id": "new", "func_name": BUILD, "interval": "70"}
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    del values["csrfmiddlewaretoken"]
    assert send(strict, url, values).status_code == 403
    assert RedisCronJob.fetch("job", connection).interval == 300
    token = load(strict, url)["csrfmiddlewaretoken"]
    assert send(strict, url, values, csrfmiddlewaretoken=token, args='["y"]').status_code == 302


# Whatever stands in them, all groups but these are closed: a field of each, also of a shared line.
CLOSED = {
    "start_at_0": "31 February",
    "end_at_0": "31 February",
    "max_runs": "0",
    "jitter": "5 minutes",
    "catch_up_limit": "none",
    "misfire_grace": "soon",
    "max_failures": "0",
    "max_runtime": "long",
    "notify_failures": "0",
    "notify_late_after": "soon",
    "notify_margin": "0",
    "job_timeout": "long",
    "ttl": "long",
    "result_ttl": "long",
    "failure_ttl": "long",
    "retry_max": "0",
    "retry_intervals": "long",
    "meta": "{",
}


def test_a_group_that_holds_an_error_is_open(operator: Client) -> None:
    loaded = {**load(operator, ADD), "id": "new", "func_name": BUILD, "interval": "60"}
    assert operator.get(ADD).text.count("<details>") == 5
    for name, value in CLOSED.items():
        page = send(operator, ADD, loaded, args='["x"]', **{name: value}).text
        assert page.count("<details>") == 4, name
        closed = "".join(re.findall(r"<details>.*?</details>", page, re.DOTALL))
        assert "errorlist" not in closed, name
        assert f'name="{name}"' not in closed, name
