"""Everything that is read from Redis and written to it."""

from __future__ import annotations

from ..lazy import lazy_names

__all__ = [
    "Damaged",
    "Listing",
    "ReindexReport",
    "define_many",
    "fetch_many",
    "list_schedules",
    "reindex",
]

__getattr__, __dir__ = lazy_names(__name__, {"listing": __all__[1:], "reading": __all__[:1]})
