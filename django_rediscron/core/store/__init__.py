"""Everything that is read from Redis and written to it."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(import_module(f"{__name__}.listing"), name)
