"""What people and programs do to a schedule, each in a function that another process can call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import Redis
from rq.utils import now

from django_rediscron.core import RedisCronJob, RedisCronScheduler, revert
from django_rediscron.core.store.keys import INDEX
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks

from .world import NEW_YEAR

Edit = Callable[[RedisCronJob], None]
"""Changes a loaded schedule and saves it."""


def change_interval(job: RedisCronJob, **options: Any) -> None:
    job.interval, job.cron = 60, None
    job.save(**options)


def change_cron(job: RedisCronJob, **options: Any) -> None:
    job.interval, job.cron = None, NEW_YEAR
    job.save(**options)


def change_queue(job: RedisCronJob, **options: Any) -> None:
    job.queue_name = "edited"
    job.save(**options)


def change_args(job: RedisCronJob, **options: Any) -> None:
    job.args = (9,)
    job.save(**options)


def disable(job: RedisCronJob, **options: Any) -> None:
    job.disable(**options)


def enable(job: RedisCronJob, **options: Any) -> None:
    job.enable(**options)


def disable_and_enable(job: RedisCronJob) -> None:
    job.disable()
    job.enable()


def delete(job: RedisCronJob, **options: Any) -> None:
    job.delete(**options)


def register(job: RedisCronJob) -> None:
    """As another process does at its start; it never loaded the schedule."""
    assert job.connection is not None
    scheduler = RedisCronScheduler(job.connection)
    scheduler.register(tasks.echo, "registered", id=job.id, interval=7200, args=(7,))


EDITS: dict[str, Edit] = {
    "interval": change_interval,
    "cron": change_cron,
    "queue": change_queue,
    "args": change_args,
    "disable": disable,
    "enable": enable,
    "delete": delete,
    "register": register,
}

WRITTEN: dict[str, dict[str, str]] = {
    "interval": {"interval": "60", "cron": ""},
    "cron": {"interval": "", "cron": NEW_YEAR},
    "queue": {"queue_name": "edited"},
    "args": {"args": "[9]"},
    "disable": {"enabled": "0"},
    "enable": {"enabled": "1"},
    "register": {"queue_name": "registered", "interval": "7200", "cron": "", "args": "[7]"},
}
"""Fields that each of them sets, and no others."""


# As rq-rediscron 0.1 makes them: it knows neither `revision` nor the index of disabled schedules.


def foreign_queue(job: RedisCronJob) -> None:
    _foreign(job, {"queue_name": "edited"})


def foreign_disable(job: RedisCronJob) -> None:
    _foreign(job, {"enabled": "0"})
    assert job.connection is not None
    job.connection.zrem(INDEX, job.id)


def foreign_delete(job: RedisCronJob) -> None:
    assert job.connection is not None
    job.connection.delete(job.key)
    job.connection.zrem(INDEX, job.id)


def _foreign(job: RedisCronJob, fields: dict[str, str]) -> None:
    assert job.connection is not None
    job.connection.hset(job.key, mapping={**fields, "updated_at": utc_text(now())})


# For an editor process of its own: it makes the connection.


def create_one(connection: Redis) -> None:
    RedisCronJob("one", "metrics", tasks.echo, interval=3600, connection=connection).save()


def create_one_in_pipeline(connection: Redis) -> None:
    with connection.pipeline() as pipe:
        job = RedisCronJob("one", "metrics", tasks.echo, interval=3600, connection=connection)
        job.save(pipeline=pipe)
        pipe.execute()


def create_one_disabled(connection: Redis) -> None:
    job = RedisCronJob(
        "one", "metrics", tasks.echo, interval=3600, connection=connection, enabled=False
    )
    job.save()


def create_one_elsewhere(connection: Redis) -> None:
    RedisCronJob("one", "other", tasks.echo, interval=7200, connection=connection).save()


def register_one(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", id="one", interval=3600)


def register_many(connection: Redis) -> None:
    options: dict[str, Any] = {"interval": 3600, "connection": connection}
    jobs = [RedisCronJob(id, "metrics", tasks.echo, **options) for id in ("one", "two")]
    RedisCronScheduler(connection).register_many(jobs)


def enable_one(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).enable()


def enable_one_in_pipeline(connection: Redis) -> None:
    with connection.pipeline() as pipe:
        RedisCronJob.fetch("one", connection).enable(pipeline=pipe)
        pipe.execute()


def disable_one(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).disable()


def move_one(connection: Redis) -> None:
    job = RedisCronJob.fetch("one", connection)
    job.queue_name = "edited"
    job.interval = 1800
    job.save()


def move_one_in_pipeline(connection: Redis) -> None:
    job = RedisCronJob.fetch("one", connection)
    job.queue_name = "edited"
    job.interval = 1800
    with connection.pipeline() as pipe:
        job.save(pipeline=pipe)
        pipe.execute()


def delete_one(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).delete()


def delete_one_in_pipeline(connection: Redis) -> None:
    with connection.pipeline() as pipe:
        RedisCronJob.fetch("one", connection).delete(pipeline=pipe)
        pipe.execute()


def create_move_and_delete_one(connection: Redis) -> None:
    create_and_move_one(connection)
    RedisCronJob.fetch("one", connection).delete()


def create_and_move_one(connection: Redis) -> None:
    create_one(connection)
    move_one(connection)


def revert_one(connection: Redis) -> None:
    revert("one", 0, connection)


def enqueue_one(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).enqueue(connection)
