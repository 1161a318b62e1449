"""How due schedules become RQ jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .run_now import enqueue_now
else:
    __getattr__, __dir__ = lazy_names(__name__, {"run_now": ("enqueue_now",)})

__all__ = ["enqueue_now"]
