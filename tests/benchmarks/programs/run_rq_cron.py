"""RQ's own cron, whose schedules are a list in the memory of its process."""

import rq.cron
from jobs import work
from latency import lateness
from program import DAY, INTERVAL, QUEUE, expressions, main, measured_pass, shift_clock


def again(connection, count):
    scheduler = _intervals(connection, count)
    _pass(scheduler)
    shift_clock(rq.cron, INTERVAL)
    return measured_pass(connection, count, lambda: _pass(scheduler))


def first(connection, count):
    scheduler = _intervals(connection, count)
    return measured_pass(connection, count, lambda: _pass(scheduler))


def cron_first(connection, count):
    scheduler = _crons(connection, count)
    shift_clock(rq.cron, DAY)
    return measured_pass(connection, count, lambda: _pass(scheduler))


def cron_again(connection, count):
    scheduler = _crons(connection, count)
    shift_clock(rq.cron, DAY)
    _pass(scheduler)
    shift_clock(rq.cron, DAY)
    return measured_pass(connection, count, lambda: _pass(scheduler))


def late(connection, count):
    return lateness(connection, count, 2, "serve_even")


def late_minute(connection, count):
    return lateness(connection, count, 60, "serve_minutes")


def serve_even(connection, count):
    _scheduler(connection, [{"cron": "* * * * * */2"}]).start()


def serve_minutes(connection, count):
    _scheduler(connection, [{"cron": "* * * * *"}]).start()


def _intervals(connection, count):
    return _scheduler(connection, [{"interval": INTERVAL}] * count)


def _crons(connection, count):
    return _scheduler(connection, [{"cron": expression} for expression in expressions(count)])


def _scheduler(connection, timings):
    scheduler = rq.cron.CronScheduler(connection)
    for i, timing in enumerate(timings):
        scheduler.register(work, QUEUE, args=(i,), name=f"job:{i}", **timing)
    scheduler.register_birth()
    return scheduler


def _pass(scheduler):
    """As in the loop of its `start`."""
    if scheduler.enqueue_jobs():
        scheduler.save()


main(again, first, cron_first, cron_again, late, late_minute, serve_even, serve_minutes)
