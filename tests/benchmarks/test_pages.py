"""Pages of the admin with many schedules: as quick as the docs say, whichever page it is."""

from __future__ import annotations

import time
from collections.abc import Iterator

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


@pytest.fixture(params=[(10_000, 0.5), (100_000, 1.0)], ids=["10,000", "100,000"])
def many(request: pytest.FixtureRequest, connection: Redis) -> Iterator[tuple[int, float]]:
    """How many schedules there are, and the seconds that a page may take."""
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


def test_any_page_is_quick(many: tuple[int, float], connection: Redis, rq_queues: None) -> None:
    number, limit = many
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    took = {
        name: min(cost(client, query.format(deep=number // 200), connection) for _ in range(3))
        for name, query in PAGES.items()
    }
    print(*(f"{name} {value:.2f} s" for name, value in took.items()), sep=", ")
    took["sorted"] /= 1.5
    assert {name: value for name, value in took.items() if value >= limit} == {}


def cost(client: Client, query: str, connection: Redis) -> float:
    """Seconds that site and Redis work for a page, one after the other.

    So long it takes where nothing else runs, which tests cannot expect.
    """
    before = time.process_time() + server_seconds(connection)
    response = client.get(LIST + query)
    worked = time.process_time() + server_seconds(connection) - before
    assert len(response.context["cl"].result_list) == 100
    return worked


def server_seconds(connection: Redis) -> float:
    used = connection.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
