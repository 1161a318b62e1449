"""Everything that is read from Redis and written to it."""

from .listing import Listing, ReindexReport, define_many, fetch_many, list_schedules, reindex
from .reading import Damaged

__all__ = [
    "Damaged",
    "Listing",
    "ReindexReport",
    "define_many",
    "fetch_many",
    "list_schedules",
    "reindex",
]
