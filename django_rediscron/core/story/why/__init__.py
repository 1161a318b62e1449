"""Why did it not run? The answer for one time of a schedule, from all that is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .answer import Answer
    from .asking import answers, gather, why
    from .evidence import Evidence
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "answer": ("Answer",),
            "asking": ("answers", "gather", "why"),
            "evidence": ("Evidence",),
        },
    )

__all__ = ["Answer", "Evidence", "answers", "gather", "why"]
