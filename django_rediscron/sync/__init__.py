"""What the code declares, brought to Redis.

Every process of a project imports `declarations`; what writes them is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .report import SyncReport
    from .syncing import reset, sync

__all__ = ["SyncReport", "reset", "sync"]

_FOUND_IN = {"SyncReport": "report", "reset": "syncing", "sync": "syncing"}


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FOUND_IN[name]}"), name)
