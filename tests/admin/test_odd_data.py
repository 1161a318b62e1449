"""Odd data in Redis takes no page and no command down, whatever key or field it is in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from click.testing import CliRunner
from django.test import Client
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError
from rq.job import Job

from django_rediscron import RedisCronJob, RedisCronScheduler, cli
from django_rediscron.core.monitoring.health import check_health
from django_rediscron.core.schedule import codec
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.store import keys

from .conftest import LIST
from .forms import change_url, errors, load, send

ID = "job"
RQ_JOB = "an-rq-job"

DEEP = b'{"a":' * 3000 + b"1" + b"}" * 3000
VALUES = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "zero byte": b"\0",
    "infinite": b"inf",
    "no number": b"nan",
    "negative": b"-1",
    "huge": b"9" * 5000,
    "superscript": "²".encode(),
    "milliseconds": b"1767225600000",
    "broken JSON": b"{bad",
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "deep list": b"[" * 3000 + b"]" * 3000,
    "deep object": DEEP,
    "odd record": b'{"occurrence": 5, "until": null, "count": [], "reason": {}, "at": "x"}',
    "escaped half of a pair": b'{"source": "\\ud800", "count": "\\udfff"}',
    "deep enough": b"[" * 500 + b"]" * 500,
    "NaN": b"[NaN, 1e999]",
    "half a pair": b'["\\ud800"]',
    "long": b"x" * 100_000,
    "no date": b"2026-02-30T00:00:00.000000Z",
    "first date": b"0001-01-01T00:00:00.000000Z",
    "last date": b"9999-12-31T23:59:59.999999Z",
    "markup": b"<script>alert(1)</script>",
}
SCORES = (0, -1, 1767225600000, 1e18, -1e18, float("inf"), float("-inf"))

HASHES = {
    keys.job_key(ID): sorted(
        {
            *("id", "revision", "fingerprint"),
            *codec.EDITABLE_FIELDS,
            *codec.TIME_FIELDS,
            *keys.RUNTIME_FIELDS,
            *keys.ORIGIN_FIELDS,
        }
    ),
    keys.DELETED: [ID, "gone"],
    keys.scheduler_key("leader"): [
        *("hostname", "pid", "role", "machine", "started", "token", "last_heartbeat", "birth")
    ],
    Job.key_for(RQ_JOB): ["status", "started_at", "ended_at", "worker_name", "origin"],
}
SORTED_SETS = (
    keys.INDEX,
    keys.DISABLED,
    keys.ERRORS,
    keys.SCHEDULERS,
    keys.history_key(ID),
    f"{keys.EXECUTIONS_PREFIX}{RQ_JOB}",
)
LISTS = (keys.skipped_key(ID), f"{keys.QUEUE_PREFIX}default")
STRINGS = (keys.LOCK, keys.LAST_UPDATE, keys.INDEXED, f"{keys.RECEIPT_PREFIX}x", "rq:results:x")
ALL_KEYS = (*HASHES, *SORTED_SETS, *LISTS, *STRINGS, f"rq:results:{RQ_JOB}", "rq:queues")

Damage = Callable[[Redis], object]


def damages() -> Iterator[tuple[str, Damage]]:
    """Each odd value in each place."""
    for name, value in VALUES.items():
        for key, fields in HASHES.items():
            for field in fields:
                yield f"{key} {field}: {name}", _call("hset", key, field, value)
            yield f"{key}: field {name}", _call("hset", key, value, value)
        for key in SORTED_SETS:
            for score in SCORES:
                yield f"{key}: {name}, {score}", _call("zadd", key, {value: score})
        for key in LISTS:
            yield f"{key}: {name}", _call("lpush", key, value)
        for key in STRINGS:
            yield f"{key}: {name}", _call("set", key, value)
        stream = f"rq:results:{RQ_JOB}"
        yield f"{stream}: {name}", _call("xadd", stream, {"exc_string": value, "type": value})
    for member in (ID, "leader", RQ_JOB):
        for key in SORTED_SETS:
            for score in SCORES:
                yield f"{key}: {member}, {score}", _call("zadd", key, {member: score})
    for key in ALL_KEYS:
        yield f"{key}: no string", _instead("set", key, b"\xff")
        yield f"{key}: no list", _instead("rpush", key, b"\xff")
        yield f"{key}: no set", _instead("sadd", key, b"\xff")
        yield f"{key}: no sorted set", _instead("zadd", key, {b"\xff": 1})
        yield f"{key}: no hash", _instead("hset", key, b"\xff", b"\xff")
        yield f"{key}: gone", lambda connection, key=key: connection.delete(key)


def _call(command: str, *args: Any) -> Damage:
    return lambda connection: getattr(connection, command)(*args)


def _instead(command: str, key: str, *args: Any) -> Damage:
    def put(connection: Redis) -> None:
        connection.delete(key)
        getattr(connection, command)(key, *args)

    return put


DAMAGES = dict(damages())


def healthy(connection: Redis) -> None:
    """A declared schedule that ran, was skipped and failed, a leader, and what was deleted."""
    connection.flushdb()
    job = RedisCronJob(
        ID,
        "default",
        func_name="tests.app.tasks.build_report",
        args=("daily",),
        interval=300,
        connection=connection,
    )
    job.save()
    now = datetime.now(timezone.utc)
    declared = json.dumps({"func_name": job.func_name, "queue_name": "default", "interval": "60"})
    origin = {"source": "code", "place": "app/apps.py:7", "declared": declared}
    connection.hset(keys.job_key(ID), mapping=origin)
    connection.zadd(keys.history_key(ID), {RQ_JOB: now.timestamp()})
    facts = {"status": "failed", "started_at": codec_time(now), "ended_at": codec_time(now)}
    connection.hset(Job.key_for(RQ_JOB), mapping={**facts, "origin": "default"})
    skip = Skip(now - timedelta(hours=1), now, 2, "misfire", now)
    connection.lpush(keys.skipped_key(ID), skip.to_text())
    connection.hset(keys.DELETED, "gone", json.dumps({"declared": declared, "place": "x"}))
    RedisCronScheduler(connection, name="leader", lock_ttl=3600).register_birth()


def codec_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


PAGES = (
    LIST,
    f"{LIST}?q=job&o=1.2.3.-4.-5&state=error&queue=default&source=code&app=-",
    f"{LIST}?state=overridden",
    change_url(ID),
    f"{LIST}{ID}/delete/",
    f"{LIST}{ID}/history/",
    f"{LIST}{ID}/run/",
    f"{LIST}preview/?interval=60&stored={ID}",
    f"{LIST}add/",
)
COMMANDS = (
    ("info",),
    ("info", "--by-queue"),
    ("info", "--json"),
    ("health",),
    ("health", "--json"),
)


def look_at_everything(client: Client, connection: Redis, redis_url: str) -> None:
    """Each page answers, and each command ends without a traceback."""
    is_there = connection.exists(keys.job_key(ID))
    for page in PAGES:
        response = client.get(page)
        wanted = 200 if is_there or ID not in page.partition("?")[0] else response.status_code
        assert response.status_code == wanted, page
        assert response.status_code < 500, page
    assert client.post(f"{LIST}refresh/", {"id": [ID, "gone"]}).status_code == 200
    for arguments in COMMANDS:
        result = CliRunner().invoke(cli.main, [*arguments, "--url", redis_url])
        assert result.exception is None or isinstance(result.exception, SystemExit), arguments
        assert result.exit_code in (0, 1), arguments


KNOWN = (
    f"{keys.history_key(ID)}: {ID}, inf",
    f"{keys.history_key(ID)}: not UTF-8, 1767225600000",
    f"{keys.job_key(ID)} declared: deep object",
    f"{keys.skipped_key(ID)}: broken JSON",
    f"{keys.skipped_key(ID)}: a list",
    f"{keys.skipped_key(ID)}: null",
    f"{keys.skipped_key(ID)}: odd record",
    f"{keys.INDEX}: {ID}, -inf",
    f"{keys.ERRORS}: not UTF-8, -inf",
    f"{keys.SCHEDULERS}: not UTF-8, inf",
    f"{keys.SCHEDULERS}: leader, -inf",
    f"{keys.scheduler_key('leader')} pid: huge",
    f"{keys.scheduler_key('leader')} token: not UTF-8",
    f"{keys.DELETED} gone: deep list",
)


@pytest.mark.slow
# A sample of a few thousand cases in each run; a failure names its damages, so it is not shrunk.
@settings(
    max_examples=8,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(KNOWN)
@example((f"{keys.scheduler_key('leader')}: no list", f"{keys.LAST_UPDATE}: no hash"))
@example((f"{keys.job_key(ID)} args: half a pair", f"{keys.job_key(ID)} interval: huge"))
@example((f"{keys.job_key(ID)} args: deep enough",))
@example((f"{keys.job_key(ID)} args: NaN",))
@given(st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=6, unique=True))
def test_no_value_in_redis_takes_a_page_or_a_command_down(
    operator: Client, connection: Redis, redis_url: str, names: Sequence[str]
) -> None:
    healthy(connection)
    for name in names:
        with suppress(ResponseError):  # another damage has changed the type of the key
            DAMAGES[name](connection)
    look_at_everything(operator, connection, redis_url)


def test_what_is_no_record_of_a_skip_is_left_out(connection: Redis) -> None:
    healthy(connection)
    for value in VALUES.values():
        connection.lpush(keys.skipped_key(ID), value)
    assert [skip.count for skip in RedisCronJob.fetch(ID, connection).get_skips(connection)] == [2]


def test_a_run_without_a_time_is_shown_without_one(operator: Client, connection: Redis) -> None:
    healthy(connection)
    connection.zadd(keys.history_key(ID), {RQ_JOB: 1767225600000, b"\xff": float("inf")})
    page = operator.get(change_url(ID)).text
    assert RQ_JOB in page
    assert "\\xff" in page


def test_arguments_that_would_be_refused_are_left_as_they_are(
    operator: Client, connection: Redis
) -> None:
    healthy(connection)
    connection.hset(keys.job_key(ID), "meta", '{"share": NaN}')
    loaded = load(operator, change_url(ID))
    assert "meta" not in errors(send(operator, change_url(ID), loaded, interval="0"))


def test_lag_and_age_are_numbers_whatever_the_scores_are(connection: Redis) -> None:
    healthy(connection)
    connection.hdel(keys.job_key(ID), "next_enqueue_time")
    connection.zadd(keys.INDEX, {ID: float("-inf")})
    connection.zadd(keys.SCHEDULERS, {"leader": float("-inf")})
    facts = json.loads(check_health(connection).to_json(), parse_constant=pytest.fail)
    assert facts["late"] == 1
    assert facts["problem"] == "stalled-scheduler"
