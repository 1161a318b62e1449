"""`python -m tests.benchmarks`: measure, and print the results as Markdown tables.

All runs in one go against one server. Each number is the median of some rounds, and in each round
`enqueue_many` is measured directly before everything that is compared with it.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from .contestants import ALL, OURS, ROOT, MeasurementFailedError
from .measurements import MEASUREMENTS
from .run import Run, use_one_core
from .server import running_server

PATIENT = 1000
"""Schedules from which on it is no trial run, so that a wait of a minute is worth it."""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    contestants = [OURS] if options.own else list(ALL)
    for contestant in contestants:
        contestant.prepare(options.environments)
    failures: list[str] = []
    pinned = use_one_core()
    with running_server() as url:
        run = Run(
            url,
            contestants,
            options.environments,
            options.rounds,
            options.count,
            samples=options.samples,
            patient=options.count >= PATIENT,
        )
        print(_conditions(run, pinned=pinned))
        for measurement in MEASUREMENTS:
            if not options.only or measurement.name in options.only:
                try:
                    print(f"\n{measurement.report(run)}", flush=True)
                except MeasurementFailedError as error:
                    failures.append(str(error))
    if failures:
        sys.exit("\n".join(failures))


def _conditions(run: Run, *, pinned: bool) -> str:
    server = run.client.info("server")
    name = server.get("server_name", "redis").capitalize()
    parts = [
        f"Python {platform.python_version()}",
        f"rq {version('rq')}",
        f"redis-py {version('redis')}",
        f"{name} {server.get(f'{name.lower()}_version', server['redis_version'])}",
        "one core" if pinned else "all cores",
        f"{run.rounds} rounds",
    ]
    return ", ".join(parts)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often to measure all (%(default)s)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[measurement.name for measurement in MEASUREMENTS],
        metavar="NAME",
        help=f"one of {', '.join(m.name for m in MEASUREMENTS)}; may be repeated",
    )
    parser.add_argument("--own", action="store_true", help="leave the other packages out")
    parser.add_argument(
        "--count", type=int, default=10_000, help="schedules due at once (%(default)s)"
    )
    parser.add_argument("--samples", type=int, default=200, help="of each latency (%(default)s)")
    parser.add_argument(
        "--environments",
        type=Path,
        default=ROOT / ".tox" / "benchmark-environments",
        metavar="DIR",
        help="where the environments of the other packages are, or are to be built",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
