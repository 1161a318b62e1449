"""How soon things happen."""

from __future__ import annotations

from statistics import median, quantiles

from .contestants import OURS, RQ_CRON, RQ_REDISCRON
from .run import Run, all_cores, table


class Lateness:
    """From the time of a cron schedule until its RQ job is in the queue."""

    name = "late"

    def report(self, run: Run) -> str:
        rows = []
        for contestant in run.taking_part([OURS, RQ_REDISCRON, RQ_CRON]):
            with all_cores():
                samples = run.measure(contestant, "late", max(1, run.samples // 10))["samples"]
                minute = run.measure(contestant, "late_minute", 1) if run.patient else None
            rows.append(
                [
                    contestant.name,
                    f"{median(samples) * 1000:.1f} ms",
                    f"{max(samples) * 1000:.1f} ms",
                    f"{minute['samples'][0] * 1000:.1f} ms" if minute else "",
                ]
            )
        head = ["", "median", "longest", "after the wait for a minute"]
        return table("How late a cron schedule fires (every two seconds)", head, rows)


class Effect:
    """From an edit that makes a schedule due, in another process, until the job is in the queue."""

    name = "effect"

    def report(self, run: Run) -> str:
        rows = []
        for contestant in run.taking_part([OURS, RQ_REDISCRON]):
            with all_cores():
                samples = run.measure(contestant, "effect", run.samples)["samples"]
            rows.append(
                [
                    contestant.name,
                    f"{median(samples) * 1000:.1f} ms",
                    f"{quantiles(samples, n=100, method='inclusive')[-1] * 1000:.1f} ms",
                    f"{max(samples) * 1000:.1f} ms",
                ]
            )
        return table("From edit to effect", ["", "median", "p99", "longest"], rows)
