"""What the measured programs share: their command line, the clock and the counters.

Each program runs in the environment of the package that it measures, so nothing here may need more
than redis-py. It is called as `run_NAME.py MEASUREMENT URL COUNT` and prints one line of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta

from redis import Redis
from redis.connection import AbstractConnection

QUEUE = "metrics"
QUEUE_KEY = f"rq:queue:{QUEUE}"
INTERVAL = 300
DAY = 86400

BATCH = 500
"""Schedules or jobs that the programs themselves send in one pipeline."""


def main(*measurements):
    """Run the function that the command line names; its result is what the program prints."""
    name, url, count = sys.argv[1:]
    if importlib.util.find_spec("hiredis"):
        sys.exit("hiredis is installed here; uninstall it, for all is measured without it")
    logging.disable(logging.CRITICAL)
    named = {measurement.__name__: measurement for measurement in measurements}
    result = named[name](Redis.from_url(url), int(count))
    print(json.dumps(result))


def expressions(count):
    """Daily cron expressions: 1,440 different ones, one for each minute of the day."""
    return [f"{i % 60} {i // 60 % 24} * * *" for i in range(count)]


def crowd(connection, count):
    """Put so many other keys into the database."""
    for start in range(0, count, 10_000):
        connection.mset({f"other:{i}": i for i in range(start, min(count, start + 10_000))})


def seed(measurement):
    """Run another measurement of this program in a process of its own, so that this one is cold."""
    program, _, url, count = sys.argv
    command = [sys.executable, program, measurement, url, count]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def beside(measurement, count=0):
    """Another function of this program, running in a process of its own."""
    command = [sys.executable, sys.argv[0], measurement, sys.argv[2], str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def shift_clock(module, seconds):
    """Let the function `now` of a module run ahead: what was coming is due."""
    now = module.now
    module.now = lambda: now() + timedelta(seconds=seconds)


class Meter:
    """Measures a `with` block: seconds, processor time, commands and round trips."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        self._server = _server_totals(self.connection)
        self._trips = _trips.count
        self._cpu = time.process_time()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error):
        seconds = time.perf_counter() - self._start
        cpu = time.process_time() - self._cpu
        trips = _trips.count - self._trips
        commands, server_cpu = _server_totals(self.connection)
        self.result = {
            "seconds": seconds,
            "cpu": cpu + server_cpu - self._server[1],
            "round_trips": trips,
            "commands": commands - self._server[0] - 1,  # one INFO is ours
        }


def measured_pass(connection, count, run, queue_key=QUEUE_KEY):
    """Measure `run()`, which must put `count` jobs into the queue."""
    before = connection.llen(queue_key)
    with Meter(connection) as meter:
        run()
    enqueued = connection.llen(queue_key) - before
    if enqueued != count:
        sys.exit(f"{sys.argv[0]} {sys.argv[1]}: {enqueued} jobs were enqueued instead of {count}")
    return {**meter.result, "jobs": count}


def repeated(connection, run, times=200):
    """Measure `run()` again and again; the result is what one costs."""
    run()
    with Meter(connection) as meter:
        for _ in range(times):
            run()
    return {name: value / times for name, value in meter.result.items()}


class _Trips:
    """Counts what redis-py sends; a pipeline goes out in one piece, so each is a round trip."""

    def __init__(self):
        self.count = 0
        send = AbstractConnection.send_packed_command

        def counted(connection, *args, **kwargs):
            self.count += 1
            return send(connection, *args, **kwargs)

        AbstractConnection.send_packed_command = counted


_trips = _Trips()


def _server_totals(connection):
    everything = connection.info("everything")
    commands = sum(
        value["calls"] for name, value in everything.items() if name.startswith("cmdstat_")
    )
    return commands, everything["used_cpu_user"] + everything["used_cpu_sys"]


os.environ.setdefault("TZ", "UTC")
time.tzset()
