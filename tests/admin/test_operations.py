"""Running several schedules now, and resetting several: asked first, told one by one, logged."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from re import findall

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.core.story.changes import read_changes

from .conftest import LIST
from .forms import ADD, change_url, load, send
from .test_actions import act
from .test_declared_schedules import declare  # noqa: F401 - a fixture

Make = Callable[..., RedisCronJob]


def ask(client: Client, action: str, *ids: str, **more: str) -> dict[str, list[str]]:
    """Choose an action of the list; what the question would send."""
    response = client.post(LIST, {"action": [action, ""], "index": "0", **more,
                                  "_selected_action": ids})  # fmt: skip
    assert response.status_code == 200
    fields: dict[str, list[str]] = {}
    inputs = r'<input type="hidden" name="([^"]+)" value="([^"]*)">'
    for name, value in findall(inputs, response.text):
        fields.setdefault(name, []).append(unescape(value))
    fields.pop("csrfmiddlewaretoken", None)
    return fields


def answer(client: Client, fields: dict[str, list[str]]) -> list[str]:
    """Say yes; what one is told then."""
    response = client.post(LIST, fields, follow=True)
    return [str(message) for message in response.context["messages"]]


def test_runs_each_once_after_asking(operator: Client, schedule: Make, connection: Redis) -> None:
    odd = '<b>"a"/ü'
    for id in (odd, "b", "c"):
        schedule(id)
    connection.hset("rq:cron_job:b", "func_name", "tests.tasks.gone")
    before = connection.hgetall(f"rq:cron_job:{odd}")
    fields = ask(operator, "run_selected", odd, "b", "deleted")
    assert connection.llen("rq:queue:default") == 0
    told = answer(operator, fields)
    assert told[0] == "1 enqueued, 1 was deleted meanwhile, 1 was refused."
    assert "cannot be imported" in told[1]
    assert connection.llen("rq:queue:default") == 1
    assert connection.hgetall(f"rq:cron_job:{odd}") == before
    entry = LogEntry.objects.get()
    assert entry.object_id == odd
    assert entry.get_change_message().startswith("Run now, as job ")


def test_runs_all_that_are_found_where_all_are_chosen(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    for number in range(120):
        schedule(f"{number:03}")
    fields = ask(operator, "run_selected", "000", select_across="1")
    assert answer(operator, fields) == ["120 enqueued."]
    assert connection.llen("rq:queue:default") == 120


def test_resets_to_code_after_asking(
    declare: Callable[..., None],  # noqa: F811
    operator: Client,
    schedule: Make,
    connection: Redis,
) -> None:
    declare()
    schedule("other")
    job = RedisCronJob.fetch("job", connection)
    job.interval = 900
    job.save()
    fields = ask(operator, "reset_selected", "job", "other")
    assert RedisCronJob.fetch("job", connection).interval == 900
    told = answer(operator, fields)
    assert told[0] == "1 reset, 1 was refused."
    assert "no code declares it" in told[1]
    assert RedisCronJob.fetch("job", connection).interval == 300
    assert LogEntry.objects.get().get_change_message() == "Changed interval: 900 → 300."
    assert act(operator, "reset_selected", "job", post="yes") == ["1 was so already."]


def test_every_way_to_change_a_schedule_is_logged_as_the_user_s(
    declare: Callable[..., None],  # noqa: F811
    operator: Client,
    connection: Redis,
) -> None:
    declare()
    form = load(operator, change_url("job"))
    send(operator, change_url("job"), form, description="New")
    for action in ("disable_selected", "enable_selected", "reset_selected"):
        act(operator, action, "job", post="yes")
    for _ in range(2):
        form = load(operator, change_url("job"))
        send(operator, change_url("job"), form, description="Newer")
        operator.post(f"{LIST}job/reset/")
    act(operator, "delete_selected", "job", post="yes")
    form = load(operator, ADD)
    build = "tests.app.tasks.build_report"
    send(operator, ADD, form, id="job", func_name=build, args='["daily"]', cron="0 5 * * *")
    operator.post(f"{LIST}job/delete/", {"post": "yes"})
    changes = read_changes("job", connection)[::-1]
    assert [change.what for change in changes] == ["created", "updated", "disabled", "enabled",
        "reset", "updated", "reset", "updated", "reset", "deleted", "created", "deleted",
    ]  # fmt: skip
    user = User.objects.get().get_username()
    assert {change.actor for change in changes[1:]} == {f"admin:{user}"}


@pytest.mark.parametrize(
    ("action", "permission"), [("run_selected", "run"), ("reset_selected", "change")]
)
def test_each_needs_its_permission(
    action: str,
    permission: str,
    client_with: Callable[..., Client],
    schedule: Make,
    connection: Redis,
) -> None:
    schedule("job")
    before = connection.hgetall("rq:cron_job:job")
    others = {"view", "add", "change", "delete", "run"} - {permission}
    stranger = client_with(*sorted(others))
    assert action not in stranger.get(LIST).text
    act(stranger, action, "job", post="yes")
    assert connection.hgetall("rq:cron_job:job") == before
    assert connection.llen("rq:queue:default") == 0
    assert action in client_with("view", permission).get(LIST).text
