"""Actions on several schedules: each with its permission, told one by one, and logged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST

Make = Callable[..., RedisCronJob]
ENABLED = "Changed enabled: no → yes."
DISABLED = "Changed enabled: yes → no."


def act(client: Client, action: str, *ids: str, **more: str) -> list[str]:
    """Do it as the form of the page does; the messages of the page that follows."""
    response = client.post(
        LIST, {"action": action, "index": "0", "_selected_action": ids, **more}, follow=True
    )
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def logged(flag: int) -> list[tuple[str | None, str]]:
    entries = LogEntry.objects.filter(action_flag=flag).order_by("object_id")
    return [(entry.object_id, entry.get_change_message()) for entry in entries]


def is_enabled(id: str, connection: Redis) -> bool:
    return RedisCronJob.fetch(id, connection).enabled


def test_enable_and_disable(connection: Redis, schedule: Make, operator: Client) -> None:
    for id in ("a", "b", "c"):
        schedule(id, enabled=id == "c")
    told = act(operator, "enable_selected", "a", "b", "c", "deleted")
    assert told == ["2 enabled, 1 was so already, 1 was deleted meanwhile."]
    assert all(is_enabled(id, connection) for id in "abc")
    assert logged(CHANGE) == [
        ("a", ENABLED),
        ("b", ENABLED),
    ]
    assert act(operator, "disable_selected", "a") == ["1 disabled."]
    assert not is_enabled("a", connection)
    assert logged(CHANGE)[:2] == [
        ("a", ENABLED),
        ("a", DISABLED),
    ]


UNTIL = {"until_0": "2031-06-03", "until_1": "18:00:00", "until_2": "UTC"}


def test_disable_with_a_reason_and_an_end(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    """Also those that are disabled already; the list says why."""
    for id in ("a", "b"):
        schedule(id, enabled=id == "a")
    form = {"action": "disable_selected_until", "_selected_action": ["a", "b"]}
    page = operator.post(LIST, form).content.decode()
    assert 'name="reason"' in page
    assert is_enabled("a", connection)
    wrong = operator.post(LIST, {**form, "post": "yes", "until_0": "2020-01-01", "until_1": "0:00"})
    assert "until must be in the future" in wrong.content.decode()
    why = {"post": "yes", "reason": "the bank is closed", **UNTIL}
    assert act(operator, "disable_selected_until", "a", "b", **why) == ["2 disabled."]
    for id in "ab":
        job = RedisCronJob.fetch(id, connection)
        assert job.disabled_until == datetime(2031, 6, 3, 18, tzinfo=timezone.utc)
        assert str(job.disabled_by).startswith("admin:")
    assert {text.split(" until ")[0] for _, text in logged(CHANGE)} == {"Disabled"}
    assert operator.get(LIST).content.decode().count(": the bank is closed") == 2


def test_one_is_disabled_on_a_page_of_its_own(
    connection: Redis, schedule: Make, operator: Client, client_with: Callable[..., Client]
) -> None:
    schedule("a")
    url = f"{LIST}a/disable/"
    assert url in operator.get(f"{LIST}a/change/").content.decode()
    assert 'name="reason"' in operator.get(url).content.decode()
    assert client_with("view").post(url, {"post": "yes"}).status_code == 403
    wrong = operator.post(url, {"post": "yes", "reason": "x" * 201})
    assert wrong.status_code == 200
    assert is_enabled("a", connection)
    response = operator.post(url, {"post": "yes", "reason": "why", **UNTIL}, follow=True)
    assert "was disabled." in str(next(iter(response.context["messages"])))
    assert ": why" in response.content.decode()
    assert not is_enabled("a", connection)
    assert operator.get(f"{LIST}b/disable/").status_code == 404


def test_those_that_meet_the_filter_no_more_are_not_passed_over(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("a")
    response = operator.post(
        f"{LIST}?state=error", {"action": "disable_selected", "index": "0", "_selected_action": "a"}
    )
    assert [str(each) for each in get_messages(response.wsgi_request)] == ["1 disabled."]
    assert not is_enabled("a", connection)


def test_all_that_the_filter_finds(connection: Redis, schedule: Make, operator: Client) -> None:
    for number in range(130):
        schedule(f"{number:03}", queue_name="reports" if number % 2 else "default")
    operator.post(
        f"{LIST}?queue=reports",
        {
            "action": "disable_selected",
            "index": "0",
            "_selected_action": "001",
            "select_across": "1",
        },
    )
    assert connection.zcard("rq:cron_jobs:disabled") == 65


def test_deletion_is_asked_for_first(connection: Redis, schedule: Make, operator: Client) -> None:
    for id in ("a", "<b>", "kept"):
        schedule(id)
    page = operator.post(
        LIST, {"action": "delete_selected", "index": "0", "_selected_action": ["a", "<b>"]}
    )
    assert "Are you sure" in page.text
    assert "&lt;b&gt;" in page.text
    assert connection.zcard("rq:cron_jobs") == 3
    schedule("a").delete()
    assert act(operator, "delete_selected", "a", "<b>", post="yes") == [
        "1 deleted, 1 was deleted meanwhile."
    ]
    assert connection.zrange("rq:cron_jobs", 0, -1) == [b"kept"]
    assert [id for id, _ in logged(DELETION)] == ["<b>"]


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("view", set()),
        ("add", set()),
        ("change", {"enable_selected", "disable_selected"}),
        ("delete", {"delete_selected"}),
    ],
)
def test_each_action_needs_its_permission(
    permission: str,
    allowed: set[str],
    connection: Redis,
    schedule: Make,
    client_with: Callable[..., Client],
) -> None:
    schedule("off", enabled=False)
    schedule("on")
    before = [connection.hgetall(f"rq:cron_job:{id}") for id in ("on", "off")]
    client = client_with("view", permission)
    offered = {
        action
        for action in ("enable_selected", "disable_selected", "delete_selected")
        if f'value="{action}"' in client.get(LIST).text
    }
    assert offered == allowed
    for action in {"enable_selected", "disable_selected", "delete_selected"} - allowed:
        client.post(
            LIST,
            {"action": action, "index": "0", "_selected_action": ["on", "off"], "post": "yes"},
        )
    assert [connection.hgetall(f"rq:cron_job:{id}") for id in ("on", "off")] == before
    assert not LogEntry.objects.exists()


def test_actions_need_a_token(connection: Redis, schedule: Make, operator: Client) -> None:
    schedule("a")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    answer = strict.post(
        LIST, {"action": "disable_selected", "index": "0", "_selected_action": "a"}
    )
    assert answer.status_code == 403
    assert is_enabled("a", connection)


def test_what_cannot_be_read_is_refused_by_name(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("fine", enabled=False)
    connection.hset("rq:cron_job:damaged", mapping={"id": "damaged", "args": "[nope"})
    connection.zadd("rq:cron_jobs", {"damaged": 1})
    first, second = act(operator, "enable_selected", "fine", "damaged")
    assert first == "1 enabled, 1 was refused."
    assert second.startswith("Schedule “damaged”: it cannot be read")
