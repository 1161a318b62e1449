"""What the verbs that tell the story of schedules take: ids, `--limit`, `--since`, `--json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import click
from redis import Redis

from ..core.exceptions import NoSuchJobError
from ..core.quoting import LONGEST_ID, quoted_id
from ..core.store.keys import changes_key, job_key, outcomes_key, runs_key, skipped_key
from ..core.store.search import search
from ..core.story.gone import read_deleted_ids
from ..core.timing.cron_times import utc_text
from ..core.timing.durations import seconds_from_text

SIMILAR_AMONG = 20_000
"""Ids that are compared with a misspelt one at most; more take seconds."""

WILDCARDS = "*?["

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


def check_id(id: str, connection: Redis) -> None:
    """Raise NoSuchJobError, with similar ids, if nothing is on record of such a schedule."""
    if _is_on_record(id, connection):
        return
    ids = all_ids(connection)
    alike = get_close_matches(id[:LONGEST_ID], ids, n=3) if len(ids) <= SIMILAR_AMONG else []
    guess = f"; did you mean {' or '.join(map(quoted_id, alike))}?" if alike else ""
    raise NoSuchJobError(f"there is no schedule {quoted_id(id)}, and none is on record{guess}")


def chosen_ids(wanted: Sequence[str], connection: Redis, *, deleted: bool = False) -> list[str]:
    """The schedules of these ids and patterns, or all that exist; an exact id comes first.

    `deleted`: patterns find deleted schedules, too, and these are among all. Raises NoSuchJobError.
    """

    def known_ids() -> list[str]:
        gone = read_deleted_ids(connection) if deleted else []
        return sorted({*all_ids(connection), *gone})

    if not wanted:
        return known_ids()
    chosen: dict[str, Any] = {}
    for id in wanted:
        matching = [id]
        if any(c in id for c in WILDCARDS) and not _is_on_record(id, connection):
            matching = [each for each in known_ids() if fnmatchcase(each, id)]
            if not matching:
                raise NoSuchJobError(f"no schedule has an id like {quoted_id(id)}")
        else:
            check_id(id, connection)
        chosen.update(dict.fromkeys(matching))
    return list(chosen)


def all_ids(connection: Redis) -> list[str]:
    """Ids of the schedules that exist."""
    return sorted(id for (id,) in search(connection))


def _is_on_record(id: str, connection: Redis) -> bool:
    try:
        id.encode()
    except UnicodeEncodeError:  # bytes on the command line that are not UTF-8
        return False
    kinds = (job_key, runs_key, changes_key, skipped_key, outcomes_key)
    return bool(connection.exists(*(key(id) for key in kinds)))
