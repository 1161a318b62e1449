"""This package."""

import random
import resource
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jobs import work
from latency import effects, lateness
from program import (
    BATCH,
    DAY,
    INTERVAL,
    QUEUE,
    QUEUE_KEY,
    Meter,
    beside,
    crowd,
    expressions,
    main,
    measured_pass,
    repeated,
    seed,
    shift_clock,
)

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.monitoring.exposition import text
from django_rediscron.core.monitoring.measurements import read_metrics
from django_rediscron.core.store.keys import IN_FLIGHT, LOCK, history_key, outcomes_key, runs_key
from django_rediscron.core.story.following import KEEP_RUNS, Following
from django_rediscron.core.timing.cron_times import utc_text

LOCK_TTL = 30
"""Seconds; the Django app's default."""

FOLLOWED_FOR = 5
"""Seconds in which jobs are looked at that do not end."""

LISTS = 100
"""Of how many schedules the runs are weighed."""


def again(connection, count):
    """The clock runs ahead, so the scheduler has the memory that it has in real life."""
    define_intervals(connection, count)
    scheduler = _born(connection)
    scheduler.enqueue_jobs()
    shift_clock(dispatch, INTERVAL)
    return measured_pass(connection, count, scheduler.enqueue_jobs)


def first(connection, count):
    seed("define_intervals")
    return measured_pass(connection, count, _born(connection).enqueue_jobs)


def cron_first(connection, count):
    seed("define_crons")
    shift_clock(dispatch, DAY)
    return measured_pass(connection, count, _born(connection).enqueue_jobs)


def cron_again(connection, count):
    define_crons(connection, count)
    scheduler = _born(connection)
    shift_clock(dispatch, DAY)
    scheduler.enqueue_jobs()
    shift_clock(dispatch, DAY)
    return measured_pass(connection, count, scheduler.enqueue_jobs)


def burst(connection, count):
    """A scheduler from start to end, twice: the second time with what it remembers."""
    seed("define_intervals")
    connection.slowlog_reset()
    scheduler = RedisCronScheduler(connection, lock_ttl=LOCK_TTL)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        scheduler.start(burst=True)
        seconds.append(time.perf_counter() - start)
        shift_clock(dispatch, INTERVAL)
    return {"seconds": seconds, "peak_memory": _peak_memory()}


def edits_during_pass(connection, count):
    """Disable schedules while a scheduler enqueues them all, and watch its lock."""
    seed("define_intervals")
    edited = {}
    lock_left = LOCK_TTL * 1000
    with beside("burst_once") as scheduler:
        while not connection.llen(QUEUE_KEY):
            time.sleep(0.001)
        while connection.llen(QUEUE_KEY) < count * 0.9:
            lock_left = min(lock_left, connection.pttl(LOCK))
            id = f"job:{random.randrange(count)}"
            if id not in edited:
                RedisCronJob.fetch(id, connection).disable()
                edited[id] = time.time()
            time.sleep(0.01)
        scheduler.wait()
    too_late = [0.0]
    heeded = 0
    for id, moment in edited.items():
        history = connection.zrange(history_key(id), 0, -1, withscores=True)
        too_late += [enqueued - moment for _, enqueued in history]
        heeded += not history
    return {
        "edits": len(edited),
        "heeded": heeded,
        "worst": max(too_late),
        "lock_left": lock_left / 1000,
        "lock_ttl": LOCK_TTL,
    }


def follow(connection, count):
    """Follow jobs that wait, for a while; then record that all of them have ended."""
    define_intervals(connection, count)
    scheduler = _born(connection)
    scheduler.enqueue_jobs()
    token = connection.get(LOCK).decode()
    following = Following(connection)
    slices = []
    end = time.monotonic() + FOLLOWED_FOR
    with Meter(connection) as meter:
        while time.monotonic() < end:
            time.sleep(following.pause)
            slices.append(_seconds(following.step, token))
    looking = meter.result
    _end_all(connection)
    records = []
    with Meter(connection) as meter:
        while connection.exists(IN_FLIGHT):
            records.append(_seconds(following.step, token))
    return {
        "share": looking["cpu"] / looking["seconds"],
        "slices": slices,
        "records": records,
        "recording": meter.result["cpu"] / count,
        "bytes": _bytes_of_a_record(connection),
    }


def _seconds(run, *arguments):
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def _end_all(connection):
    """As workers leave their jobs."""
    moment = utc_text(datetime.now(timezone.utc))
    fields = {"status": "finished", "started_at": moment, "ended_at": moment}
    with connection.pipeline(transaction=False) as pipe:
        for job_id in connection.hkeys(IN_FLIGHT):
            fields["worker_name"] = f"{random.getrandbits(128):032x}"
            pipe.hset(b"rq:job:" + job_id, mapping=fields)
        pipe.execute()


def _bytes_of_a_record(connection):
    """Of Redis's memory, in full lists."""
    (record,) = connection.lrange(runs_key("job:0"), 0, 0)
    before = connection.info("memory")["used_memory"]
    for number in range(LISTS):
        connection.lpush(f"list:{number}", *[record] * KEEP_RUNS)
    return (connection.info("memory")["used_memory"] - before) / LISTS / KEEP_RUNS


def burst_once(connection, count):
    RedisCronScheduler(connection, lock_ttl=LOCK_TTL).start(burst=True)


def idle(connection, count):
    """As in the loop of its `start`."""
    seed("define_coming")
    scheduler = _born(connection)

    def run():
        scheduler.enqueue_jobs()
        scheduler.heartbeat()
        scheduler.calculate_sleep_interval()

    return repeated(connection, run)


def register(connection, count):
    scheduler = RedisCronScheduler(connection)
    with Meter(connection) as meter:
        scheduler.register_many(_jobs([{"interval": INTERVAL}] * count))
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


def scrape(connection, count):
    """All metrics as text."""
    seed("define_followed")
    connection.slowlog_reset()
    before = _peak_memory()
    size = len(text(read_metrics(connection)))
    result = repeated(connection, lambda: text(read_metrics(connection)), times=10)
    return {**result, "memory": _peak_memory() - before, "size": size}


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


def define_followed(connection, count):
    """Cron schedules whose runs have been counted."""
    define_crons(connection, count)
    ended = {"finished": 95, "failed": 5, f"finished {QUEUE}": 95, f"failed {QUEUE}": 5}
    took = {"run 0.1": 50, "run 1": 40, "run 10": 10, "run microseconds": 33_000_000}
    success = {"last_success": utc_text(datetime.now(timezone.utc))}
    for start in range(0, count, BATCH):
        with connection.pipeline(transaction=False) as pipe:
            for i in range(start, min(count, start + BATCH)):
                pipe.hset(outcomes_key(f"job:{i}"), mapping={**ended, **took, **success})
            pipe.execute()


def _define(connection, timings):
    RedisCronScheduler(connection).register_many(_jobs(timings))


def _jobs(timings):
    return [
        RedisCronJob(f"job:{i}", QUEUE, func=work, args=(i,), **timing)
        for i, timing in enumerate(timings)
    ]


def _born(connection):
    scheduler = RedisCronScheduler(connection)
    scheduler.register_birth()
    return scheduler


def _peak_memory():
    """Bytes; the most that this process had."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


main(
    again,
    first,
    cron_first,
    cron_again,
    burst,
    edits_during_pass,
    burst_once,
    follow,
    idle,
    register,
    list_all,
    list_crowded,
    scrape,
    effect,
    late,
    late_minute,
    serve,
    define_intervals,
    define_coming,
    define_crons,
    define_followed,
)
