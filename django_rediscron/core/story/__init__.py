"""What happened to schedules and their runs, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .changes import LoggedChange, read_changes
    from .outcomes import Outcomes, read_outcomes
    from .reverting import revert
    from .runs import Run, read_runs_of
    from .skips import read_skips
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "changes": ("LoggedChange", "read_changes"),
            "outcomes": ("Outcomes", "read_outcomes"),
            "reverting": ("revert",),
            "runs": ("Run", "read_runs_of"),
            "skips": ("read_skips",),
        },
    )

__all__ = [
    "LoggedChange",
    "Outcomes",
    "Run",
    "read_changes",
    "read_outcomes",
    "read_runs_of",
    "read_skips",
    "revert",
]
