"""Requests that no page offers: whoever may not change something changes nothing by any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.admin import ScheduleAdmin
from django_rediscron.models import Schedule

from .conftest import LIST

Make = Callable[..., RedisCronJob]

FIELDS = {
    "id": "job",
    "name": "renamed",
    "func_name": "tests.app.tasks.build_report",
    "args": '["x"]',
    "kwargs": "{}",
    "meta": "{}",
    "queue_name": "default",
    "interval": "60",
    "enabled": "",
    "post": "yes",
    "field": "interval",
    "index": "0",
    "select_across": "1",
    "_selected_action": "job",
}
ACTIONS = ["", *(action.__name__ for action in ScheduleAdmin.actions)]


def paths() -> Iterator[str]:
    """All pages of schedules, of one that is stored and of one that is not."""
    for pattern in admin.site.get_model_admin(Schedule).get_urls():
        for id in ("job", "new"):
            yield LIST + str(pattern.pattern).replace("<path:object_id>", id).removesuffix("$")


@pytest.mark.parametrize("permissions", [(), ("view",)], ids=["nothing", "view"])
def test_change_nothing(
    permissions: tuple[str, ...],
    client_with: Callable[..., Client],
    schedule: Make,
    connection: Redis,
) -> None:
    schedule("job")
    before = {key: connection.dump(key) for key in connection.keys("*")}
    client = client_with(*permissions)
    answers = {
        client.generic(method, path).status_code
        if method != "POST"
        else client.post(path, {**FIELDS, "action": action}).status_code
        for path in set(paths())
        for method in ("POST", "GET", "PUT", "DELETE")
        for action in (ACTIONS if path == LIST and method == "POST" else [""])
    }
    assert answers <= {200, 301, 302, 403, 404, 405}
    assert {key: connection.dump(key) for key in connection.keys("*")} == before
    assert not LogEntry.objects.exists()


def test_these_are_requests_that_change_something(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    """The test above would see nothing if the same requests of an operator did nothing."""
    schedule("job")
    answer = operator.post(f"{LIST}job/run/", FIELDS)
    assert answer.status_code == 302
    assert connection.llen("rq:queue:default") == 1
    operator.post(LIST, {**FIELDS, "action": "disable_selected"})
    assert not RedisCronJob.fetch("job", connection).enabled
    operator.post(f"{LIST}add/", {**FIELDS, "id": "new", "_save": "Save"})
    assert connection.exists("rq:cron_job:new")
    operator.post(f"{LIST}job/delete/", FIELDS)
    assert not connection.exists("rq:cron_job:job")
