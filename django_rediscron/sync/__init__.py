"""What the code declares, brought to Redis."""

from .report import SyncReport
from .syncing import reset, sync

__all__ = ["SyncReport", "reset", "sync"]
