"""Redis stopped, full, or closed to this user: a message and a usable page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client, override_settings
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST
from .test_actions import act, is_enabled

Make = Callable[..., RedisCronJob]


@pytest.fixture
def full(connection: Redis) -> Iterator[None]:
    """A server that has no memory left for another write."""
    connection.config_set("maxmemory", 1)
    connection.config_set("maxmemory-policy", "noeviction")
    yield
    connection.config_set("maxmemory", 0)


@override_settings(REDISCRON={"QUEUE": "nowhere"})
def test_a_redis_that_does_not_answer(operator: Client) -> None:
    for query in ("", "?q=a&state=error&queue=reports", "?o=4.-2&p=3"):
        response = operator.get(LIST + query)
        assert response.status_code == 200
        assert "The schedules cannot be reached" in response.text
        assert "Redis at 127.0.0.1:1/0 cannot be reached" in response.text
        assert "Redis does not answer, so no schedules can be shown." in response.text
        assert "No schedule" not in response.text
        assert "secret" not in response.text
    told = act(operator, "disable_selected", "a")
    assert len(told) == 1
    assert "cannot be reached" in told[0]
    answer = operator.post(f"{LIST}refresh/", {"id": "a"})
    assert answer.status_code == 503
    assert "cannot be reached" in answer.json()["banner"]


def test_a_redis_that_is_full(
    connection: Redis, schedule: Make, operator: Client, full: None
) -> None:
    connection.config_set("maxmemory", 0)
    for id in ("a", "b"):
        schedule(id)
    connection.config_set("maxmemory", 1)
    assert operator.get(LIST).status_code == 200
    first, second = act(operator, "disable_selected", "a", "b")
    assert first == "2 are left."
    assert "cannot be used" in second
    connection.config_set("maxmemory", 0)
    assert is_enabled("a", connection)


def test_a_user_of_redis_who_may_only_read(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("a")
    connection.acl_setuser(
        "reader",
        enabled=True,
        passwords=["+pw"],
        categories=["+@read", "+@connection"],
        commands=["+evalsha", "+eval"],
        keys=["*"],
    )
    address = urlsplit(settings.REDIS_URL)
    url = address._replace(netloc=f"reader:pw@{address.hostname}:{address.port}").geturl()
    queues = {**settings.RQ_QUEUES, "read": {"URL": url}}
    try:
        with override_settings(RQ_QUEUES=queues, REDISCRON={"QUEUE": "read"}):
            page = operator.get(LIST)
            assert [each.id for each in page.context["cl"].result_list] == ["a"]
            first, second = act(operator, "disable_selected", "a")
            assert first == "1 is left."
            assert "cannot be used" in second
    finally:
        connection.acl_deluser("reader")
    assert is_enabled("a", connection)
