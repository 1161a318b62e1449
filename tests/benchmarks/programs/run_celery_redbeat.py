"""celery-redbeat, which sends Celery messages through the same server."""

import sys
from datetime import timedelta
from types import SimpleNamespace

from celery import Celery
from celery.schedules import crontab, schedule
from program import INTERVAL, QUEUE, expressions, main, measured_pass, seed
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry
from redbeat.schedulers import acquire_distributed_beat_lock

TASK = "jobs.work"


def again(connection, count):
    """The entries have a last run an interval ago."""
    return _due_pass(connection, count, "define_fired_intervals")


def first(connection, count):
    return _due_pass(connection, count, "define_intervals")


def cron_first(connection, count):
    """A crontab that never ran is due at once."""
    return _due_pass(connection, count, "define_crons")


def cron_again(connection, count):
    return _due_pass(connection, count, "define_fired_crons")


def define_intervals(connection, count):
    _define([schedule(INTERVAL)] * count, None)


def define_fired_intervals(connection, count):
    _define([schedule(INTERVAL)] * count, timedelta(seconds=INTERVAL))


def define_crons(connection, count):
    _define(_crontabs(count), None)


def define_fired_crons(connection, count):
    _define(_crontabs(count), timedelta(days=1))


def _due_pass(connection, count, definitions):
    seed(definitions)
    scheduler = RedBeatScheduler(_app())
    acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=scheduler))
    scheduler.producer  # noqa: B018 - opens the connection to the broker
    return measured_pass(connection, count, scheduler.tick, queue_key=QUEUE)


def _crontabs(count):
    for expression in expressions(count):
        minute, hour, *_ = expression.split()
        yield crontab(minute=minute, hour=hour)


def _define(schedules, ago):
    app = _app()
    for i, timing in enumerate(schedules):
        entry = RedBeatSchedulerEntry(
            f"job:{i}", TASK, timing, args=(i,), options={"queue": QUEUE}, app=app
        )
        entry.last_run_at = None if ago is None else app.now() - ago
        entry.save()


def _app():
    url = sys.argv[2]
    app = Celery("benchmark", broker=url)
    app.conf.update(redbeat_redis_url=url, redbeat_key_prefix="redbeat:", task_ignore_result=True)
    return app


main(
    again,
    first,
    cron_first,
    cron_again,
    define_intervals,
    define_fired_intervals,
    define_crons,
    define_fired_crons,
)
