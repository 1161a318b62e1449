"""What type checkers find in a user's program; mypy checks it with the package, nothing runs it."""

from __future__ import annotations

from redis import Redis
from typing_extensions import assert_type

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.core.declared.tombstones import Tombstone
from django_rediscron.core.monitoring.leadership import Leadership
from django_rediscron.core.store import Damaged, Listing, fetch_many, list_schedules


class Report(RedisCronJob):
    """A class of the user's own."""


def listing(connection: Redis) -> Listing:
    found = list_schedules(connection)
    assert_type(found.jobs, list[RedisCronJob])
    assert_type(found.damaged, list[Damaged])
    assert_type(found.deleted, list[Tombstone])
    assert_type(found.leadership, Leadership | None)
    return found


def by_id(connection: Redis) -> None:
    assert_type(fetch_many(["a"], connection), dict[str, RedisCronJob | Damaged])
    assert_type(fetch_many(["a"], connection, Report), dict[str, Report | Damaged])
    assert_type(RedisCronJob.fetch("a", connection), RedisCronJob)
    assert_type(Report.from_dict({}), Report)


def of_a_scheduler(scheduler: RedisCronScheduler) -> None:
    assert_type(scheduler.get_jobs(), list[RedisCronJob])
    assert_type(scheduler.enqueue_jobs(), list[RedisCronJob])
