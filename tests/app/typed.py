"""Functions with parameters of many types; only a setting allows them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Optional

if TYPE_CHECKING:
    from tests.nowhere import Unknown  # type: ignore[import-not-found]


class Level(Enum):
    """Levels."""

    LOW = 1
    HIGH = "<b>high</b>"


def charge(
    customer: str,
    amount: Decimal,
    *,
    invoices: int = 10,
    share: float = 0.5,
    dry_run: bool = False,
    plan: Literal["free", "pro"] = "free",
    level: Level | None = None,
    day: Optional[date] = None,  # noqa: UP045 - as in older code
    at: datetime | None = None,
    api_key: str = "code-secret",
    options: dict[str, int] | None = None,
    note: str = "</script><script>alert(1)</script>",
) -> None:
    """Charge a customer <script>alert(2)</script> for all invoices.

    More.
    """


def mixed(first: int, /, second, third=1, *rest: int, unknown: Unknown = None, **more: Any) -> None:
    """Take parameters of all kinds."""


def copy_table(source: str, target: str = "archive") -> None:
    """Copy a table."""
