"""Pages of the admin with many schedules: as quick as the docs say, whichever page it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.core.store import define_many

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

LIST = "/admin/django_rediscron/schedule/"
PAGES = {
    "first": "",
    "deep": "?p={deep}",
    "searched": "?q=invoice-77",
    "filtered": "?state=disabled&queue=reports",
    "sorted": "?o=-4",  # reads what it sorts by of each
}


@pytest.fixture(params=[(10_000, 8), (100_000, 3)], ids=["10,000", "100,000"])
def many(request: pytest.FixtureRequest, connection: Redis) -> Iterator[tuple[int, int]]:
    """How many schedules there are, and how often reading the index may cost as much as a page.

    What does not grow with their number is half of a page with 10,000.
    """
    number, limit = request.param
    define_many(
        [
            RedisCronJob(
                f"billing:invoice-{each}",
                "reports" if each % 3 else "default",
                func_name="tests.tasks.echo" if each % 2 else "tests.tasks.make_nested",
                interval=300 + each % 7,
                args=(each,),
                enabled=each % 10 != 0,
            )
            for each in range(number)
        ],
        connection,
    )
    yield number, limit
    connection.flushdb()


def test_any_page_is_quick(many: tuple[int, int], connection: Redis, rq_queues: None) -> None:
    number, limit = many
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    measured: dict[str, list[float]] = {name: [] for name in ("index", *PAGES)}
    for _ in range(3):
        measured["index"].append(cost(partial(read_index, connection), connection))
        for name, query in PAGES.items():
            url = LIST + query.format(deep=number // 200)
            measured[name].append(cost(partial(read_page, client, url), connection))
    took = {name: min(values) for name, values in measured.items()}
    print(*(f"{name} {value:.2f} s" for name, value in took.items()), sep=", ")
    ratios = {name: value / took["index"] for name, value in took.items()}
    assert {name: ratio for name, ratio in ratios.items() if ratio > limit} == {}


def read_page(client: Client, url: str) -> None:
    assert len(client.get(url).context["cl"].result_list) == 100


def read_index(connection: Redis) -> None:
    assert len(connection.zrange("rq:cron_jobs", 0, -1, withscores=True)) >= 9_000


def cost(work: Callable[[], None], connection: Redis) -> float:
    """Seconds that site and Redis work, one after the other.

    So long it takes where nothing else runs, which tests cannot expect.
    """
    before = time.process_time() + server_seconds(connection)
    work()
    return time.process_time() + server_seconds(connection) - before


def server_seconds(connection: Redis) -> float:
    used = connection.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
