"""rq-scheduler, which puts the same RQ job into its queue each time."""

import time
from datetime import datetime, timezone

from jobs import work
from program import BATCH, INTERVAL, QUEUE, expressions, main, measured_pass, seed
from rq_scheduler import Scheduler


def again(connection, count):
    define_intervals(connection, count)
    scheduler = Scheduler(connection=connection)
    _make_due(scheduler)
    scheduler.enqueue_jobs()
    return _due_pass(scheduler, count)


def first(connection, count):
    seed("define_intervals")
    return _due_pass(Scheduler(connection=connection), count)


def cron_first(connection, count):
    seed("define_crons")
    return _due_pass(Scheduler(connection=connection), count)


def cron_again(connection, count):
    define_crons(connection, count)
    scheduler = Scheduler(connection=connection)
    _make_due(scheduler)
    scheduler.enqueue_jobs()
    return _due_pass(scheduler, count)


def define_intervals(connection, count):
    scheduler = Scheduler(connection=connection)
    for i in range(count):
        scheduler.schedule(
            datetime.now(timezone.utc),
            work,
            args=(i,),
            interval=INTERVAL,
            id=f"job-{i}",
            queue_name=QUEUE,
        )


def define_crons(connection, count):
    scheduler = Scheduler(connection=connection)
    for i, expression in enumerate(expressions(count)):
        scheduler.cron(expression, work, args=(i,), id=f"job-{i}", queue_name=QUEUE)


def _due_pass(scheduler, count):
    _make_due(scheduler)
    return measured_pass(scheduler.connection, count, lambda: _pass(scheduler))


def _pass(scheduler):
    """As in the loop of its `run`."""
    scheduler.heartbeat()
    scheduler.acquire_lock()
    scheduler.enqueue_jobs()
    scheduler.heartbeat()
    scheduler.remove_lock()


def _make_due(scheduler):
    connection, key = scheduler.connection, scheduler.scheduled_jobs_key
    ids = connection.zrange(key, 0, -1)
    for start in range(0, len(ids), BATCH):
        connection.zadd(key, dict.fromkeys(ids[start : start + BATCH], int(time.time()) - 1))


main(
    again,
    first,
    cron_first,
    cron_again,
    define_intervals,
    define_crons,
)
