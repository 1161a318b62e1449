"""Options that several verbs take, such as `--since` and `--json`, and times in both directions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import click

from ..core.timing.cron_times import utc_text
from ..core.timing.durations import seconds_from_text

Option = Callable[[Callable[..., None]], Callable[..., None]]

json_option: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on one line."
)


def limit_option(things: str) -> Option:
    """How many of them are printed."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        metavar="NUMBER",
        help=f"How many {things} at most, the newest.",
    )


def moment_in(text: str, *, ahead: bool = False) -> datetime:
    """A time in ISO 8601, in UTC unless it has an offset, or a duration: ago, or `ahead` of now.

    Raises `click.BadParameter`.
    """
    try:
        distance = timedelta(seconds=seconds_from_text(text))
        return datetime.now(timezone.utc) + (distance if ahead else -distance)
    except (ValueError, OverflowError):
        pass
    try:
        iso = f"{text[:-1]}+00:00" if text.endswith(("Z", "z")) else text
        moment = datetime.fromisoformat(iso)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(
            timezone.utc
        )
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r:.80} is neither a time such as 2026-06-03T05:40, in UTC unless it has an "
            "offset, nor a duration such as 2h or 1d"
        ) from None


def _since(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    return None if value is None else moment_in(value)


since_option: Option = click.option(
    "--since",
    callback=_since,
    metavar="TIME",
    help="Only from this time on (UTC): 2026-06-03T05:40, or 2h, 1d ago.",
)


def time_fact(moment: datetime | None) -> str | None:
    """A time in JSON."""
    return None if moment is None else utc_text(moment)
