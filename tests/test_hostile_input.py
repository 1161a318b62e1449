"""Values of any size are judged quickly, and quoted in a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from time import thread_time
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.quoting import quoted
from django_rediscron.core.schedule.options import OPTIONS
from django_rediscron.core.schedule.origin import describe
from django_rediscron.core.timing.cron_fields import MAX_LENGTH, numbers_of
from django_rediscron.core.timing.cron_times import check_cron, next_cron_time

LONG = 200_000
LINE = 1000
"""Characters of the longest error: its own words, and a few values that were cut."""


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class Huge:
    def __repr__(self) -> str:
        return "<Huge\n" + "x" * LONG


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


HOSTILE: dict[str, Any] = {
    "a text": "x" * LONG,
    "lines": "x\n" * LONG,
    "a dotted name": "a." * LONG + "b",
    "an existing module": "os." * LONG + "b",
    "a name with a time-out": f"a.b {'9' * LONG}",
    "commas": "1," * LONG,
    "digits": "9" * LONG,
    "a path": "../" * LONG,
    "surrogates": "\ud800" * LONG,
    "escapes": "\U000e0001" * LONG,
    "bytes": b"x" * LONG,
    "a list": list(range(LONG)),
    "a dict": {str(n): n for n in range(LONG)},
    "a dict of numbers": {n: n for n in range(LONG)},
    "a long key": {"x" * LONG: {"y" * LONG: object()}},
    "long texts": ["x" * LONG] * 100,
    "depth": nested(LONG),
    "a cycle": cycle(),
    "a number": 10**LONG,
    "a negative number": -(10**LONG),
    "an object": Huge(),
    "an object without text": Broken(),
}
NAMES = ["interval", "cron", "queue_name", "func_name", "name", "enabled", "args", "kwargs", "meta"]
NAMES += ["job_timeout", "ttl", "result_ttl", "failure_ttl", "webhooks", *OPTIONS]


def refusal(call: Callable[[], Any]) -> str:
    """The text of the error, or nothing where it was accepted."""
    try:
        call()
    except Exception as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_every_option_refuses_it_in_a_line(name: str) -> None:
    given = {"interval": 60, "func_name": "tests.tasks.echo", "queue_name": "default"}
    if name == "cron":
        del given["interval"]

    def build() -> None:
        job = RedisCronJob(id="id", **given)
        job.import_functions(given)

    for hostile, value in HOSTILE.items():
        given[name] = value
        text = refusal(build)
        assert len(text) < LINE, hostile
        assert "\n" not in text, hostile


@pytest.mark.parametrize("hostile", HOSTILE)
def test_ids_and_lookups_refuse_it_in_a_line(hostile: str, connection: Redis) -> None:
    value = HOSTILE[hostile]
    scheduler = RedisCronScheduler(connection)
    job = RedisCronJob("id", "default", func_name="tests.tasks.echo", interval=60)
    for call in (
        lambda: RedisCronJob(value, "default", func_name="tests.tasks.echo", interval=60),
        lambda: scheduler.register("tests.tasks.echo", value, id="id", interval=60),
        lambda: scheduler.register(value, "default", id="id", interval=60),
        lambda: RedisCronJob.fetch(value, connection),
        lambda: next(job.upcoming(value)),
        lambda: list(job.upcoming(1, after=value)),
        lambda: quoted(value),
    ):
        assert len(refusal(call)) < LINE


@pytest.mark.parametrize("hostile", [name for name in HOSTILE if isinstance(HOSTILE[name], str)])
def test_stored_texts_are_refused_in_a_line(hostile: str, connection: Redis) -> None:
    fields = ["id", "queue_name", "func_name", "args", "kwargs", "meta", "interval", "cron"]
    fields += ["job_timeout", "ttl", "enabled", "created_at", "latest_enqueue_time", *OPTIONS]
    for field in fields:
        job = RedisCronJob("id", "default", func_name="tests.tasks.echo", interval=60)
        texts = {**job.definition(), field: HOSTILE[hostile]}
        if field == "cron":
            texts["interval"] = ""
        assert len(refusal(lambda texts=texts: RedisCronJob.from_texts(texts, connection))) < LINE


def test_what_differs_from_the_code_is_told_in_a_line() -> None:
    assert describe({"args": ("x" * LONG, "")}) == f"overridden: args {'x' * 100}... (code: none)"


LARGE = ["0," * LONG + "0 * * * *", "* * * * " + "1#1," * LONG + "1", "* " * LONG, "@" * LONG]
COSTLY = [
    ",".join(["*"] * 490) + " 0 30 2 *",
    ",".join(["0-59"] * 190) + " * L * MON-FRI#5",
    f"0 0 30,31 2 {','.join(['0-6'] * 200)}",
    f"0 0 {','.join(['1-31'] * 180)} * *",
    f"0 0 {','.join(['31W'] * 200)} 2 *",
    f"0-0/{'9' * 900} * * * *",
    f"{'9' * 900} * * * *",
    "0 0 31 2,4,6,9,11 *",
    "0 0 29 2 0#5",
    "0 0 */29 2 0",
]


@pytest.mark.parametrize("expression", [*LARGE, *COSTLY], ids=lambda text: text[:20])
def test_expressions_are_judged_in_no_time(expression: str) -> None:
    """In CPU time, which a busy machine does not stretch much; the best of three, as in timeit."""
    texts = [expression + " " * spaces for spaces in range(3)]  # none is remembered
    assert all((len(text) > MAX_LENGTH) == (expression in LARGE) for text in texts)
    spent = []
    for text in texts:
        numbers_of.cache_clear()
        begin = thread_time()
        error = refusal(lambda text=text: check_cron(text))
        if not error:
            moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
            for _ in range(10):
                moment = next_cron_time(text, moment, timezone.utc)
        spent.append(thread_time() - begin)
        assert len(error) < LINE
    assert min(spent) < 0.05
