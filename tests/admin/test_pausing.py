"""What is paused in the admin: above the list, in the state of schedules, and how it is resumed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from redis import Redis
from rq.utils import now

from django_rediscron import RedisCronJob, pause, read_past_pauses, read_pauses

from .conftest import LIST
from .forms import change_url, messages
from .test_list import cells, shown

Make = Callable[..., RedisCronJob]
RESUME = f"{LIST}resume/"


def test_the_list_says_what_is_paused_by_whom_and_why(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("a")
    schedule("b", queue_name="reports")
    assert "paused" not in operator.get(LIST).context["pauses"]
    until = now() + timedelta(hours=1)
    pause(connection, "reports", reason="a <b>migration", until=until, actor="cli:me")
    above = operator.get(LIST).context["pauses"]
    assert "Queue “reports” is paused" in above
    for part in ("by cli:me", "until ", "missed runs are skipped", "a &lt;b&gt;migration"):
        assert part in above
    assert cells(operator, "a")["current_state"] == "enabled"
    assert cells(operator, "b")["current_state"] == "paused"
    assert shown(operator, state="paused") == ["b"]
    assert shown(operator, state="enabled") == ["a", "b"]
    page = operator.get(change_url("b")).text
    assert "Paused" in page
    assert "by cli:me, until " in page
    pause(connection, missed="catch_up")
    assert shown(operator, state="paused") == ["a", "b"]
    assert "All schedules are paused" in operator.get(LIST).context["pauses"]


def test_the_page_that_is_open_is_told(connection: Redis, schedule: Make, operator: Client) -> None:
    schedule("a")
    pause(connection)
    answer = operator.post(f"{LIST}refresh/", {"id": ["a"]}).json()
    assert "All schedules are paused" in answer["pauses"]
    assert "paused" in answer["rows"]["a"]["current_state"]


def test_it_is_resumed_from_there(connection: Redis, operator: Client) -> None:
    pause(connection)
    pause(connection, "reports")
    page = operator.get(LIST).text
    assert f'action="{RESUME}"' in page
    assert 'form="rediscron-resume" name="queue" value="*"' in page
    done = operator.post(RESUME, {"queue": "reports"})
    assert done.headers["Location"] == LIST
    assert messages(done)[-1] == "Queue “reports” was resumed."
    assert [each.queue for each in read_pauses(connection)] == [None]
    assert messages(operator.post(RESUME, {"queue": "*"}))[-1] == "Schedules were resumed."
    assert read_pauses(connection) == []
    assert read_past_pauses(connection)[0].ended_by.startswith("admin:user-")
    assert messages(operator.post(RESUME, {"queue": "*"}))[-1] == "It is not paused any more."


def test_who_may_not_change_schedules_resumes_nothing(
    connection: Redis, client_with: Callable[..., Client], operator: Client
) -> None:
    pause(connection)
    viewer = client_with("view")
    page = viewer.get(LIST).text
    assert "All schedules are paused" in page
    assert "rediscron-resume" not in page
    assert viewer.post(RESUME, {"queue": "*"}).status_code == 403
    assert operator.get(RESUME).status_code == 405
    assert len(read_pauses(connection)) == 1
