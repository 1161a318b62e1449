"""The buttons of the list: run, enable, and undo."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from redis import Redis
from rq.utils import now

from django_rediscron import RedisCronJob

from .conftest import LIST

Make = Callable[..., RedisCronJob]
ENABLE, RUN = f"{LIST}job/enable/", f"{LIST}job/run/"


def stored(connection: Redis) -> RedisCronJob:
    return RedisCronJob.fetch("job", connection)


def offered(page: str) -> list[str]:
    """Where the buttons of the rows lead."""
    return re.findall(r'<button form="rediscron-act" formaction="([^"]*)" class', page)


def enable(client: Client) -> str:
    """What the message's button to undo it sends."""
    page = client.post(ENABLE, {"back": "q=jo"}, follow=True)
    assert page.redirect_chain == [(f"{LIST}?q=jo", 302)]
    (undo,) = re.findall(r'formaction="[^"]*/enable/" name="undo" value="([^"]*)"', page.text)
    return unescape(undo)


def test_enable_and_undo(connection: Redis, schedule: Make, operator: Client) -> None:
    until = now() + timedelta(days=1)
    schedule("job").disable(reason="a <b>migration", until=until, actor="cli:me")
    assert offered(operator.get(LIST).text) == [RUN, ENABLE]
    undo = enable(operator)
    assert stored(connection).enabled
    assert offered(operator.get(LIST).text) == [RUN]
    assert "disabled again" in operator.post(ENABLE, {"undo": undo}, follow=True).text
    off = stored(connection)
    assert (off.enabled, off.off.reason, off.off.until) == (False, "a <b>migration", until)
    assert LogEntry.objects.count() == 2
    assert "was changed since" in operator.post(ENABLE, {"undo": undo}, follow=True).text


def test_what_was_changed_since_is_not_undone(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("job", enabled=False)
    undo = enable(operator)
    job = stored(connection)
    job.interval = 900
    job.save()
    for sent in (undo, "made up"):
        assert "was changed since" in operator.post(ENABLE, {"undo": sent}, follow=True).text
    assert stored(connection).enabled
    assert "was enabled already" in operator.post(ENABLE, follow=True).text


def test_run_goes_back_to_the_list(connection: Redis, schedule: Make, operator: Client) -> None:
    schedule("job")
    page = operator.post(RUN, {"back": "q=jo&state=enabled"}, follow=True)
    assert page.redirect_chain == [(f"{LIST}?q=jo&state=enabled", 302)]
    assert "was enqueued as job" in page.text
    assert connection.llen("rq:queue:default") == 1
    for back in ("https://elsewhere", "a\r\nb: c"):
        assert operator.post(RUN, {"back": back})["Location"].startswith(f"{LIST}?")


@pytest.mark.parametrize(
    ("permissions", "buttons"),
    [(("view",), []), (("view", "run"), [RUN]), (("change",), [ENABLE]), (("view", "add"), [])],
)
def test_buttons_are_for_those_who_may(
    permissions: tuple[str, ...],
    buttons: list[str],
    connection: Redis,
    schedule: Make,
    client_with: Callable[..., Client],
) -> None:
    schedule("job", enabled=False)
    client = client_with(*permissions)
    page = client.get(LIST)
    assert offered(page.text) == buttons
    rows = client.post(page.context["refresh_url"], {"id": "job"}).json()["rows"]
    assert offered(rows["job"]["buttons"]) == buttons
    may_change = "change" in permissions
    assert client.post(ENABLE).status_code == (302 if may_change else 403)
    assert stored(connection).enabled is may_change
    assert client.get(ENABLE).status_code == (405 if may_change else 403)


def test_requests_of_other_sites_and_locked_schedules(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("job", enabled=False)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(ENABLE).status_code == 403
    connection.hset("rq:cron_job:job", mapping={"locked": "1", "source": "code"})
    assert offered(operator.get(LIST).text) == [RUN]
    assert operator.post(ENABLE).status_code == 403
    assert not stored(connection).enabled
