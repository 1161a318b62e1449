"""Passes over many due schedules, compared with `enqueue_many` of as many jobs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from .contestants import ENQUEUE_MANY
from .run import Run, table


@dataclass
class Pass:
    """One kind of pass."""

    name: str
    title: str

    def report(self, run: Run) -> str:
        # Each result with that of the `enqueue_many` directly before it.
        results: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {ENQUEUE_MANY.name: []}
        for _ in range(run.rounds):
            for contestant in run.contestants:
                limit = run.measure(ENQUEUE_MANY, "enqueue")
                result = run.measure(contestant, self.name)
                results[ENQUEUE_MANY.name].append((limit, limit))
                results.setdefault(contestant.name, []).append((result, limit))
        head = [
            "",
            "jobs per second",
            "of enqueue_many",
            "from - to",
            "by processor time",
            "round trips per job",
        ]
        rows = [_row(name, measured) for name, measured in results.items()]
        return table(self.title.format(count=run.count), head, rows)


def _row(name: str, measured: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    ratios = [limit["seconds"] / one["seconds"] for one, limit in measured]
    return [
        name,
        f"{median(one['jobs'] / one['seconds'] for one, _ in measured):,.0f}",
        f"**{median(ratios):.2f}**",
        f"{min(ratios):.2f} - {max(ratios):.2f}",
        f"{median(limit['cpu'] / one['cpu'] for one, limit in measured):.2f}",
        f"{median(one['round_trips'] / one['jobs'] for one, _ in measured):.3f}",
    ]
