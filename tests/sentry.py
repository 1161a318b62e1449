"""Sentry for the tests: the SDK with a transport that keeps check-ins, here or in Redis."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sentry_sdk
from redis import Redis
from rq import Queue, Worker
from sentry_sdk.integrations.rq import RqIntegration
from sentry_sdk.transport import Transport

from tests.forks import Program, forks
from tests.processes import wait_until

CHECK_INS = "sentry"
"""The list in Redis in which other processes keep their check-ins."""

DSN = "http://key@127.0.0.1:1/1"


SCHEDULER = """
import logging, sys
from redis import Redis
from django_rediscron.core import RedisCronScheduler
from django_rediscron.notify import sentry
from tests.sentry import start_with_redis
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
start_with_redis({url!r})
sentry.GATHER = 0.05  # only so that the tests are faster
connection, receivers = Redis.from_url({url!r}), [sentry.make()]
RedisCronScheduler(connection, name={name!r}, lock_ttl={lock_ttl}, receivers=receivers).start()
"""


def start(transport: type[Transport], **options: Any) -> None:
    """Set up the SDK without integrations that change other libraries, unless they are named."""
    options = {
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "release": "1",
        "dsn": DSN,
        **options,
    }
    sentry_sdk.init(transport=transport, **options)


@contextmanager
def sentry() -> Iterator[list[dict[str, Any]]]:
    """The check-ins of this process."""
    kept: list[dict[str, Any]] = []

    class Keeping(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            kept.extend(check_ins_of(envelope))

    start(Keeping)
    try:
        yield kept
    finally:
        stop()


def stop() -> None:
    """As if the SDK had not been set up in this process."""
    sentry_sdk.Scope.get_global_scope().set_client(None)


def start_with_redis(url: str) -> None:
    """Set up the SDK of another process with its integration; its check-ins go to Redis."""

    class Pushing(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            with Redis.from_url(url) as connection:
                for each in check_ins_of(envelope):
                    connection.rpush(CHECK_INS, json.dumps(each))

    try:
        integration = RqIntegration(monitor_cron_jobs=True)
    except TypeError:  # before 2.75
        integration = RqIntegration()
    start(Pushing, integrations=[integration])


@contextmanager
def scheduling(url: str, name: str = "one", lock_ttl: float = 120) -> Iterator[Program]:
    """A scheduler process that leads and tells Sentry."""
    process = Program("-c", SCHEDULER.format(url=url, name=name, lock_ttl=lock_ttl))
    try:
        with Redis.from_url(url) as connection:
            lock = "rq:cron_jobs:lock"
            wait_until(lambda: (connection.get(lock) or b"").startswith(name.encode()), timeout=60)
            wait_until(lambda: connection.hexists("rq:cron_jobs:progress:told", "sentry"))
        yield process
    finally:
        process.close()


@contextmanager
def working(url: str) -> Iterator[None]:
    """A worker of queue `metrics` in a process that has set up the SDK."""
    process = forks.Process(target=_work, args=(url,))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _work(url: str) -> None:
    start_with_redis(url)
    connection = Redis.from_url(url)
    Worker([Queue("metrics", connection=connection)], connection=connection).work()


def read_check_ins(connection: Redis) -> dict[str, list[dict[str, Any]]]:
    """Those of other processes by their monitors, the oldest first."""
    found = defaultdict(list)
    for text in connection.lrange(CHECK_INS, 0, -1):
        check_in = json.loads(text)
        found[check_in["monitor_slug"]].append(check_in)
    return found


def check_ins_of(envelope: Any) -> list[dict[str, Any]]:
    return [item.payload.json for item in envelope.items if item.type == "check_in"]
