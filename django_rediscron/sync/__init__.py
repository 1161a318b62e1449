"""What the code declares, brought to Redis.

Every process of a project imports `declarations`; what writes them is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.lazy import lazy_names

if TYPE_CHECKING:
    from .report import SyncReport
    from .syncing import reset, sync
else:
    __getattr__, __dir__ = lazy_names(
        __name__, {"report": ("SyncReport",), "syncing": ("reset", "sync")}
    )

__all__ = ["SyncReport", "reset", "sync"]
