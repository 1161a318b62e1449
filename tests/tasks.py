"""What the schedules of the tests run."""

from __future__ import annotations

from typing import Any


def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return what it was called with."""
    return {"args": list(args), "kwargs": kwargs}


class Reports:
    """Functions by reference that a worker can, and cannot, find again."""

    def __call__(self) -> None: ...

    def bound(self) -> None: ...

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @staticmethod
    def static() -> str:
        return "static"


class Annual(Reports):
    """Inherits `of_class`, whose name leads to the parent's."""


def make_nested() -> Any:
    """A function that nobody else can import."""

    def nested() -> None: ...

    return nested


NOT_A_FUNCTION = 5
