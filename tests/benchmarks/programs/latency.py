"""How soon things happen, seen by who waits for the RQ job."""

import sys
import time

from jobs import work
from program import DAY, QUEUE, QUEUE_KEY, beside

EVENTS = "rq:cron_jobs:events"
_TIMEOUT = 130


def effects(connection, count, editor):
    """Seconds from the call that makes a schedule due until its RQ job is in the queue."""
    samples = []
    with beside("serve"):
        _await(lambda: connection.pubsub_numsub(EVENTS)[0][1])
        for i in range(-5, count):  # some to warm up
            time.sleep(0.02)  # the scheduler goes to sleep again
            start = time.perf_counter()
            editor.register(work, QUEUE, f"job:{i}", args=(i,), interval=DAY)
            _next_job(connection)
            if i >= 0:
                samples.append(time.perf_counter() - start)
    return {"samples": samples}


def lateness(connection, count, period, server="serve"):
    """Seconds from a time divisible by `period` until the job of that time is in the queue."""
    samples = []
    with beside(server):
        for i in range(-1 if period < 60 else 0, count):
            _next_job(connection)
            if i >= 0:
                samples.append(time.time() % period)
    return {"samples": samples}


def _next_job(connection):
    deadline = time.monotonic() + _TIMEOUT
    while connection.blpop([QUEUE_KEY], timeout=1) is None:
        if time.monotonic() > deadline:
            sys.exit(f"nothing came into the queue within {_TIMEOUT} s")


def _await(condition):
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("the scheduler did not start")
        time.sleep(0.01)
    time.sleep(0.2)
