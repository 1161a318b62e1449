"""Who may do what on the pages of one schedule, also by requests that no page offers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST
from .forms import ADD, change_url, load, send

Make = Callable[..., RedisCronJob]
BUILD = "tests.app.tasks.build_report"
CHANGE = change_url("job")
WHAT = {"func_name": BUILD, "args": '["x"]', "queue_name": "default"}
POSTS = {
    ADD: {"id": "new", "cron": "@daily", **WHAT},
    CHANGE: {"interval": "77", **WHAT},
    f"{LIST}job/delete/": {"post": "yes"},
    f"{LIST}job/run/": {},
    f"{LIST}job/reset/": {"field": "interval"},
    f"{LIST}job/disable/": {"post": "yes", "reason": "why"},
}
ALLOWED = {
    "view": [],
    "add": [ADD],
    "change": [CHANGE, f"{LIST}job/reset/", f"{LIST}job/disable/"],
    "delete": [f"{LIST}job/delete/"],
    "run": [f"{LIST}job/run/"],
}


@pytest.mark.parametrize("permission", [*ALLOWED, None])
def test_a_single_permission_lets_one_do_that_and_nothing_else(
    permission: str | None,
    client_with: Callable[..., Client],
    operator: Client,
    schedule: Make,
    connection: Redis,
) -> None:
    schedule("job", func_name=BUILD, args=("x",))
    before = connection.hgetall("rq:cron_job:job")
    base = load(operator, CHANGE)["base"]
    client = client_with(*filter(None, [permission]))
    allowed = ALLOWED.get(permission or "", [])
    for url, values in POSTS.items():
        if url not in allowed:
            response = client.post(url, {**values, "base": base, "_save": "Save"})
            assert response.status_code == 403, url
    assert connection.hgetall("rq:cron_job:job") == before
    assert connection.keys("rq:cron_job:*") == [b"rq:cron_job:job"]
    assert connection.llen("rq:queue:default") == 0
    assert not LogEntry.objects.exists()
    for url in allowed:
        response = client.post(url, {**POSTS[url], "base": base, "_save": "Save"})
        assert response.status_code == 302, (url, response)


def test_view_only_shows_everything_and_no_input(
    client_with: Callable[..., Client], schedule: Make
) -> None:
    schedule("job", func_name=BUILD, args=("<b>",), kwargs={"pages": 3}, jitter=5, cron="0 3 * * *")
    viewer = client_with("view")
    response = viewer.get(CHANGE)
    assert response.status_code == 200
    for shown in (BUILD, "[&quot;&lt;b&gt;&quot;]", "{&quot;pages&quot;: 3}", "0 3 * * *"):
        assert shown in response.text
    assert load(viewer, CHANGE).keys() <= {"csrfmiddlewaretoken"}
    assert "_save" not in response.text
    assert "Run now" not in response.text


def test_pages_need_a_log_in(client: Client, schedule: Make, connection: Redis) -> None:
    schedule("job", func_name=BUILD, args=("x",))
    before = connection.hgetall("rq:cron_job:job")
    for url, values in POSTS.items():
        response = client.post(url, {**values, "_save": "Save"})
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")
    assert connection.hgetall("rq:cron_job:job") == before


def test_change_alone_does_not_run_nor_delete(
    client_with: Callable[..., Client], schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=BUILD, args=("x",))
    editor = client_with("change")
    page = editor.get(CHANGE).text
    assert "Run now" not in page
    assert "deletelink" not in page
    assert send(editor, CHANGE, load(editor, CHANGE), interval="77").status_code == 302
    assert RedisCronJob.fetch("job", connection).interval == 77
