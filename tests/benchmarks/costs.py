"""What other things cost: a very long pass, an idle one, registering, listing, memory."""

from __future__ import annotations

from statistics import median
from typing import Any

from .contestants import OURS, RQ_REDISCRON, SYNC
from .run import Run, table

MANY = 10
"""Times as many schedules where it is to be seen how something grows."""

CROWD = 20
"""Times as many other keys as schedules."""

SLOW = 500
"""Microseconds; shorter calls are not looked at."""

OURSELVES = ("FLUSHDB", "INFO", "CONFIG", "SLOWLOG")


class Large:
    """A pass over very many due schedules."""

    name = "large"

    def report(self, run: Run) -> str:
        count = MANY * run.count
        idle = run.measure(OURS, "burst", 0)["peak_memory"]
        run.client.config_set("slowlog-log-slower-than", SLOW)
        run.client.config_set("slowlog-max-len", 100_000)
        result = run.measure(OURS, "burst", count)
        first, again = result["seconds"]
        rows = [
            ["first pass, later pass", f"{first:.1f} s, {again:.1f} s"],
            ["memory above idle", f"{(result['peak_memory'] - idle) / 1e6:.0f} MB"],
            *_longest(run),
        ]
        return table(f"One pass over {count:,} due schedules", ["", OURS.name], rows)


def _longest(run: Run) -> list[list[str]]:
    """Rows: how long Redis was held by the script, and by what else held it longest."""
    holds = _holds(run)
    scripts = holds.pop("EVALSHA", [0.0])
    others = sorted((max(times), name) for name, times in holds.items() if name not in OURSELVES)
    return [
        ["a script call holds Redis: median, p99, longest", _middle_and_end(scripts)],
        *([f"longest {name}", f"{time:.1f} ms"] for time, name in others[-3:]),
    ]


def _holds(run: Run) -> dict[str, list[float]]:
    """Milliseconds for which commands held Redis, by their names."""
    holds: dict[str, list[float]] = {}
    for entry in run.client.slowlog_get(100_000):
        command = entry["command"].split()[0].decode().upper()
        holds.setdefault(command, []).append(entry["duration"] / 1000)
    return holds


def _middle_and_end(milliseconds: list[float]) -> str:
    times = sorted(milliseconds)
    middle, late = (times[int(len(times) * part)] for part in (0.5, 0.99))
    return f"{middle:.1f}, {late:.1f}, {times[-1]:.1f} ms"


class Edits:
    """Edits made while such a pass runs."""

    name = "edits"

    def report(self, run: Run) -> str:
        count = MANY * run.count
        result = run.measure(OURS, "edits_during_pass", count)
        rows = [
            ["schedules disabled by another process", f"{result['edits']}"],
            ["of these before their turn, and never enqueued", f"{result['heeded']}"],
            [
                "longest from the edit to a job of what it replaced",
                f"{result['worst'] * 1000:.0f} ms",
            ],
            [
                f"least time left on the lock, of {result['lock_ttl']} s",
                f"{result['lock_left']:.1f} s",
            ],
        ]
        return table(f"Edits during a pass over {count:,}", ["", OURS.name], rows)


class Idle:
    """A pass that finds nothing due."""

    name = "idle"

    def report(self, run: Run) -> str:
        results: dict[str, list[dict[str, Any]]] = {}
        for _ in range(run.rounds):
            for count in (10, MANY * run.count):
                for contestant in run.taking_part([OURS, RQ_REDISCRON]):
                    who = f"{contestant.name}, {count:,} schedules"
                    results.setdefault(who, []).append(run.measure(contestant, "idle", count))
        rows = [
            [
                who,
                f"{median(one['seconds'] for one in own) * 1000:.2f} ms",
                f"{own[0]['commands']:.1f}",
                f"{own[0]['round_trips']:.1f}",
            ]
            for who, own in results.items()
        ]
        return table("An idle pass", ["", "time", "commands", "round trips"], rows)


class Following:
    """Looking at jobs in flight, and recording that they have ended."""

    name = "follow"

    def report(self, run: Run) -> str:
        results = [run.measure(OURS, "follow") for _ in range(run.rounds)]
        rows = [
            [
                "share of a core, Redis and client together, until they have ended",
                f"{median(one['share'] for one in results):.1%}",
            ],
            ["a slice: median, p99, longest", _spread([one["slices"] for one in results])],
            [
                "a slice of which all have ended: median, p99, longest",
                _spread([one["records"] for one in results]),
            ],
            [
                "processor time to record a run",
                f"{median(one['recording'] for one in results) * 1e6:.0f} us",
            ],
            [
                "memory of a recorded run in Redis",
                f"{median(one['bytes'] for one in results):.0f} bytes",
            ],
        ]
        return table(f"Following {run.count:,} jobs in flight", ["", OURS.name], rows)


class Metrics:
    """A scrape of all metrics: of each schedule, and of so many that only sums are told."""

    name = "metrics"

    def report(self, run: Run) -> str:
        rows = []
        for count in (run.count // MANY, MANY * run.count):
            run.client.config_set("slowlog-log-slower-than", SLOW)
            run.client.config_set("slowlog-max-len", 100_000)
            results = [run.measure(OURS, "scrape", count) for _ in range(run.rounds)]
            seconds, effort = (median(one[unit] for one in results) for unit in ("seconds", "cpu"))
            rows.append(
                [
                    f"{OURS.name}, {count:,} schedules",
                    f"{seconds * 1000:.0f} ms",
                    f"{effort * 1000:.0f} ms",
                    f"{max(one['memory'] for one in results) / 1e6:.0f} MB",
                    f"{results[0]['size'] / 1e3:,.0f} kB",
                    f"{results[0]['round_trips']:.0f}",
                    _middle_and_end(_holds(run).get("EVALSHA", [0.0])),
                ]
            )
        head = ["", "time", "processor time", "memory", "text", "round trips"]
        return table("A scrape of all metrics", [*head, "script call: median, p99, longest"], rows)


def _spread(rounds: list[list[float]]) -> str:
    seconds = sorted(each for one in rounds for each in one)
    middle, late = (seconds[int(len(seconds) * part)] for part in (0.5, 0.99))
    return f"{middle * 1000:.1f}, {late * 1000:.1f}, {seconds[-1] * 1000:.1f} ms"


class Registering:
    """Many definitions at once: `register_many`, or as many calls of `register`."""

    name = "register"

    def report(self, run: Run) -> str:
        rows = _against_first(run, ["register"])
        head = ["", "time", "of rq-rediscron", "by processor time", "round trips"]
        return table(f"Registering {run.count:,} schedules", head, rows)


class Syncing:
    """What a project declares: written for the first time, unchanged, and changed in each."""

    name = "sync"

    def report(self, run: Run) -> str:
        measured = [(rival, "register") for rival in run.taking_part([RQ_REDISCRON])]
        measured += [(SYNC, which) for which in ("first", "unchanged", "changed")]
        results = [[run.measure(*one) for one in measured] for _ in range(run.rounds)]
        rows = []
        for place, (contestant, which) in enumerate(measured):
            own = [one[place] for one in results]
            ratio, effort = (
                median(one[place][unit] / one[0][unit] for one in results)
                for unit in ("seconds", "cpu")
            )
            rows.append(
                [
                    f"{contestant.name}, {which}",
                    f"{median(one['seconds'] for one in own):.2f} s",
                    f"**{ratio:.3f}**" if measured[0][0] is RQ_REDISCRON else "",
                    f"{effort:.3f}" if measured[0][0] is RQ_REDISCRON else "",
                    f"{own[0]['round_trips']:,}",
                ]
            )
        head = ["", "time", "of rq-rediscron", "by processor time", "round trips"]
        return table(f"Syncing {run.count:,} declared schedules", head, rows)


class Listing:
    """`get_all_jobs`, alone in the database and among many other keys."""

    name = "list"

    def report(self, run: Run) -> str:
        rows = _against_first(run, ["list_all", "list_crowded"])
        head = ["", "time", "of rq-rediscron", "by processor time", "round trips"]
        return table(
            f"get_all_jobs of {run.count:,} (crowded: with {CROWD * run.count:,} other keys)",
            head,
            rows,
        )


class Memory:
    """What a plain definition takes in Redis."""

    name = "memory"

    def report(self, run: Run) -> str:
        rows = []
        for contestant in run.taking_part([RQ_REDISCRON, OURS]):
            run.empty()
            before = run.client.info("memory")["used_memory"]
            run.measure(contestant, "define_intervals")
            after = run.client.info("memory")["used_memory"]
            rows.append([contestant.name, f"{(after - before) / run.count:,.0f}"])
        return table("Memory in Redis", ["", "bytes per schedule"], rows)


def _against_first(run: Run, measurements: list[str]) -> list[list[str]]:
    """Rows of time, and of its ratio to that of the first contestant in the same round."""
    rows = []
    for measurement in measurements:
        contestants = run.taking_part([RQ_REDISCRON, OURS])
        results = [
            [run.measure(contestant, measurement) for contestant in contestants]
            for _ in range(run.rounds)
        ]
        for place, contestant in enumerate(contestants):
            own = [one[place] for one in results]
            ratio, effort = (
                median(one[place][unit] / one[0][unit] for one in results)
                for unit in ("seconds", "cpu")
            )
            compared = contestants[0] is RQ_REDISCRON
            rows.append(
                [
                    f"{contestant.name}{' (crowded)' if 'crowded' in measurement else ''}",
                    f"{median(one['seconds'] for one in own):.2f} s",
                    f"**{ratio:.3f}**" if compared else "",
                    f"{effort:.3f}" if compared else "",
                    f"{own[0]['round_trips']:,}",
                ]
            )
    return rows
