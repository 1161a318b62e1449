"""Why did it not run? The answer for one time of a schedule, from all that is on record."""

from .answer import Answer
from .asking import why

__all__ = ["Answer", "why"]
