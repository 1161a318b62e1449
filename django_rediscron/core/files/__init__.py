"""Schedules in files: written, read, and taken over into Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .fields import MASKED
    from .nodes import Mistake, WrongFileError
    from .reading import Entry, ScheduleFile, read_file
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "fields": ("MASKED",),
            "nodes": ("Mistake", "WrongFileError"),
            "reading": ("Entry", "ScheduleFile", "read_file"),
        },
    )

__all__ = ["MASKED", "Entry", "Mistake", "ScheduleFile", "WrongFileError", "read_file"]
