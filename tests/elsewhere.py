"""A process in another time zone or with another time zone database, and a clock of its own.

Called with one JSON list: the URL of a Redis, and steps, `[moment, verb, arguments]`. The zone is
that of the environment, or, where DJANGO_TIME_ZONE names one, of the settings of a Django project.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import next_times
from tests import tasks
from tests.clock import set_clock


def main() -> None:
    zone = os.environ.get("DJANGO_TIME_ZONE")
    if zone:
        from django.conf import settings

        project = ModuleType("settings_of_elsewhere")
        project.TIME_ZONE = zone  # type: ignore[attr-defined]
        sys.modules[project.__name__] = project
        os.environ["DJANGO_SETTINGS_MODULE"] = project.__name__
        assert zone == settings.TIME_ZONE  # now Django has set the zone of this process
    url, steps = json.loads(sys.argv[1])
    connection = Redis.from_url(url)
    with pytest.MonkeyPatch.context() as patch:
        clock = set_clock(patch, datetime.now().astimezone())
        for moment, verb, arguments in steps:
            clock.time = datetime.fromisoformat(moment)
            VERBS[verb](connection, *arguments)


def lead(connection: Redis) -> None:
    RedisCronScheduler(connection).start(burst=True)


def die_while_timing_anew(connection: Redis) -> None:
    stored = next_times.read_rules(connection)
    assert not next_times.are_ours(stored)
    next_times.begin_renewal(stored, connection)


def register(connection: Redis, id: str, options: dict[str, Any]) -> None:
    RedisCronScheduler(connection).register(tasks.echo, "metrics", id=id, **options)


def register_many(connection: Redis, ids: list[str], options: dict[str, Any]) -> None:
    jobs = [RedisCronJob(id, "metrics", tasks.echo, **options) for id in ids]
    RedisCronScheduler(connection).register_many(jobs)


def save(connection: Redis, id: str, cron: str) -> None:
    job = RedisCronJob.fetch(id, connection)
    job.cron = cron
    job.save()


def switch_off_and_on(connection: Redis, id: str) -> None:
    job = RedisCronJob.fetch(id, connection)
    job.disable()
    job.enable()


VERBS: dict[str, Any] = {
    verb.__name__: verb
    for verb in (lead, die_while_timing_anew, register, register_many, save, switch_off_and_on)
}

if __name__ == "__main__":
    main()
