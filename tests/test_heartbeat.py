"""A heartbeat is sent while a scheduler leads and nothing is late, and else withheld.

Seen to fail with `health.ok`, `health.leader` or `max_lag` taken out of `send_if_well`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.test import override_settings
from redis import Redis

from django_rediscron import RedisCronScheduler
from django_rediscron.core.store.keys import INDEX, job_key
from django_rediscron.notify import heartbeat, receivers
from django_rediscron.notify.http import RequestFailedError
from tests import tasks
from tests.http_server import HttpServer, Reply, http_server
from tests.test_notifying import leading

YEAR = 365 * 86400


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def beat(server: HttpServer, leader: RedisCronScheduler, name: str = "leader") -> bool:
    """Whether a heartbeat was sent."""
    heartbeat.Heartbeat(f"{server.url}/uuid", 60, 5).send_if_well(leader.connection, name)
    was_sent = not server.received.empty()
    while not server.received.empty():
        assert (received := server.next()).path == "/uuid"
        assert received.method == "GET"
    return was_sent


def test_a_scheduler_that_leads_sends_it(connection: Redis, server: HttpServer) -> None:
    with leading(connection, heartbeat.make(server.url), lambda alarm: None):
        assert server.next().method == "GET"


def test_it_is_withheld_while_a_schedule_is_late(
    leader: RedisCronScheduler, server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    leader.heartbeat()
    leader.register(tasks.echo, "metrics", id="report", interval=YEAR)
    assert beat(server, leader)
    leader.connection.hset(job_key("report"), "next_enqueue_time", "2026-03-23T12:00:00.000000Z")
    leader.connection.zadd(INDEX, {"report": 1774267200})
    withheld = heartbeat.Heartbeat(server.url, 60, 5)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            withheld.send_if_well(leader.connection, "leader")
    assert server.received.empty()
    (message,) = caplog.messages
    assert message.startswith("The heartbeat is withheld: late schedules: 1, the oldest 'report'")
    leader.enqueue_jobs()
    assert beat(server, leader)


def test_a_standby_and_one_that_lost_the_lock_send_none(
    leader: RedisCronScheduler, server: HttpServer
) -> None:
    leader.heartbeat()
    assert not beat(server, leader, "another")
    leader.register_death()
    assert not beat(server, leader)


def test_a_request_that_fails_raises(leader: RedisCronScheduler, server: HttpServer) -> None:
    leader.heartbeat()
    server.reply = Reply(500)
    with pytest.raises(RequestFailedError, match="answers 500"):
        beat(server, leader)


def test_the_setting_gives_the_scheduler_a_heartbeat(rq_queues: None, server: HttpServer) -> None:
    with override_settings(REDISCRON={"HEARTBEAT_URL": server.url}):
        assert "heartbeat" in [receiver.name for receiver in receivers()]
    for value in ("", None, "hc-ping.com"):
        with override_settings(REDISCRON={"HEARTBEAT_URL": value}):
            assert "heartbeat" not in [receiver.name for receiver in receivers()]
