"""Why did it not run? The answer for one time of a schedule, from all that is on record."""

from .answer import Answer
from .asking import answers, gather, why
from .evidence import Evidence

__all__ = ["Answer", "Evidence", "answers", "gather", "why"]
