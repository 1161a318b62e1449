"""rq-rediscron 0.1."""

from datetime import datetime, timedelta, timezone

import rediscron.core
import rq.cron
from jobs import work
from latency import effects, lateness
from program import (
    BATCH,
    DAY,
    INTERVAL,
    QUEUE,
    Meter,
    crowd,
    expressions,
    main,
    measured_pass,
    repeated,
    seed,
    shift_clock,
)
from rediscron import RedisCronJob, RedisCronScheduler


def again(connection, count):
    """It remembers nothing between passes, so that they fired before need only be written."""
    fired = datetime.now(timezone.utc) - timedelta(seconds=INTERVAL)
    _define(connection, [{"interval": INTERVAL, "latest_enqueue_time": fired}] * count)
    return measured_pass(connection, count, _born(connection).enqueue_jobs)


def first(connection, count):
    seed("define_intervals")
    return measured_pass(connection, count, _born(connection).enqueue_jobs)


def cron_first(connection, count):
    seed("define_crons")
    _shift_clock(DAY)
    return measured_pass(connection, count, _born(connection).enqueue_jobs)


def cron_again(connection, count):
    fired = datetime.now(timezone.utc) - timedelta(days=2)
    timings = [{"cron": each, "latest_enqueue_time": fired} for each in expressions(count)]
    _define(connection, timings)
    return measured_pass(connection, count, _born(connection).enqueue_jobs)


def idle(connection, count):
    """As in the loop of its `start`."""
    seed("define_coming")
    scheduler = _born(connection)

    def run():
        scheduler._refresh_update_marker()
        scheduler.enqueue_jobs()
        scheduler.heartbeat()
        scheduler.calculate_sleep_interval()

    return repeated(connection, run)


def register(connection, count):
    scheduler = RedisCronScheduler(connection)
    with Meter(connection) as meter:
        for i in range(count):
            scheduler.register(work, QUEUE, f"job:{i}", args=(i,), interval=INTERVAL)
    return meter.result


def list_all(connection, count):
    seed("define_coming")
    scheduler = RedisCronScheduler(connection)
    with Meter(connection) as meter:
        jobs = scheduler.get_all_jobs()
    return {**meter.result, "listed": len(jobs)}


def list_crowded(connection, count):
    crowd(connection, 20 * count)
    return list_all(connection, count)


def effect(connection, count):
    return effects(connection, count, RedisCronScheduler(connection))


def late(connection, count):
    RedisCronScheduler(connection).register(work, QUEUE, "even", cron="* * * * * */2")
    return lateness(connection, count, 2)


def late_minute(connection, count):
    RedisCronScheduler(connection).register(work, QUEUE, "minute", cron="* * * * *")
    return lateness(connection, count, 60)


def serve(connection, count):
    RedisCronScheduler(connection).start()


def define_intervals(connection, count):
    _define(connection, [{"interval": INTERVAL}] * count)


def define_coming(connection, count):
    coming = datetime.now(timezone.utc) + timedelta(hours=1)
    _define(connection, [{"interval": INTERVAL, "next_enqueue_time": coming}] * count)


def define_crons(connection, count):
    _define(connection, [{"cron": expression} for expression in expressions(count)])


def _define(connection, timings):
    """Write in pipelines what `register` writes one by one: this is not what is measured."""
    for start in range(0, len(timings), BATCH):
        with connection.pipeline(transaction=False) as pipe:
            for i, timing in enumerate(timings[start : start + BATCH], start):
                RedisCronJob(f"job:{i}", QUEUE, func=work, args=(i,), **timing).save(
                    pipe, "created"
                )
            pipe.execute()


def _born(connection):
    scheduler = RedisCronScheduler(connection)
    scheduler.register_birth()
    return scheduler


def _shift_clock(seconds):
    shift_clock(rediscron.core, seconds)
    shift_clock(rq.cron, seconds)


main(
    again,
    first,
    cron_first,
    cron_again,
    idle,
    register,
    list_all,
    list_crowded,
    effect,
    late,
    late_minute,
    serve,
    define_intervals,
    define_coming,
    define_crons,
)
