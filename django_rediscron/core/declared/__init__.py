"""What the code declares, merged with what people changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .merging import reset_to_code
else:
    __getattr__, __dir__ = lazy_names(__name__, {"merging": ("reset_to_code",)})

__all__ = ["reset_to_code"]
