"""Changes of definitions are written to Redis, each completely, and announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from redis import Redis
from redis.client import NEVER_DECODE
from rq.utils import now

from ..exceptions import NoSuchJobError, ScheduleChangedError, ScheduleLockedError
from ..schedule.record import Record
from ..timing.cron_times import utc_text
from .actors import current_actor
from .change import NO_LONGER_DECLARED, Change, new_receipt
from .keys import (
    BACKFILL_PREFIX,
    FACTS,
    HISTORY_SUFFIX,
    LOCK,
    RECEIPT_PREFIX,
    RECEIPT_TTL,
    TIMING_FIELDS,
    job_key,
    member_key,
)
from .rq_queues import get_queue
from .scripts import CHANGES_KEYS, Script, in_calls, run_script, run_scripts

BATCH = 150
"""Changes in one script call: it blocks Redis for a few milliseconds."""

REFUSALS: dict[str, type[Exception]] = {
    "NOSUCHJOB": NoSuchJobError,
    "SCHEDULECHANGED": ScheduleChangedError,
    "SCHEDULELOCKED": ScheduleLockedError,
}
"""The script's reasons for refusing a change, as exceptions."""

MAX_QUEUED = 100
"""Changes queued in pipelines that an object remembers until it knows their results."""

SAVE = Script(
    "save",
    FACTS=FACTS,
    TIMING_FIELDS=TIMING_FIELDS,
    RECEIPT_PREFIX=RECEIPT_PREFIX,
    RECEIPT_TTL=RECEIPT_TTL,
    LOCK=LOCK,
)
DELETE = Script(
    "delete",
    BACKFILL_PREFIX=BACKFILL_PREFIX,
    HISTORY_SUFFIX=HISTORY_SUFFIX,
    NO_LONGER_DECLARED=NO_LONGER_DECLARED,
)


def save_changes(changes: Sequence[Change], connection: Redis, pipeline: Any | None = None) -> None:
    """Write the changes, each completely or not at all, in few round trips; or queue them.

    Raises `InvalidScheduleError` before anything is written, and after the others were written the
    exception in `REFUSALS` for those that were refused.
    """
    for change in changes:
        change.job.import_functions(change.fields)
    for queue_name in {change.fields.get("queue_name") for change in changes} - {None}:
        get_queue(str(queue_name), connection)
    if pipeline is not None:
        for change in changes:
            change.receipt = change.receipt or new_receipt()
            _send([change], connection, now(), pipeline)
            change.job.queued = (*change.job.queued, change)[-MAX_QUEUED:]
        return
    refused: list[tuple[Change, str, str]] = []
    for batch in in_calls(changes, BATCH, Change.weight):
        pending = batch
        while pending:
            pending = _save_batch(pending, connection, refused)
    if refused:
        _, reason, text = refused[0]
        ids = [repr(change.job.id) for change, other, _ in refused if other == reason]
        names = ", ".join(ids[:5]) + (", ..." if ids[5:] else "")
        raise REFUSALS[reason](f"nothing was saved of {names}: {text}")


def _save_batch(
    batch: list[Change], connection: Redis, refused: list[tuple[Change, str, str]]
) -> list[Change]:
    """One script call. Returns the changes that must be sent again with new times."""
    again = []
    for change, reply in zip(batch, _send(batch, connection, now()), strict=True):
        outcome = reply[0]
        if outcome == "ok":
            change.apply_reply(reply)
        elif outcome == "refused":
            refused.append((change, *reply[1:]))
        else:
            change.recompute_from(*reply[1:])
            again.append(change)
    return again


def write_merged(changes: Sequence[Change], connection: Redis) -> list[Change]:
    """Write changes that hold for what was read, thousands in a round trip.

    Returns those that were not written, because the schedule was changed meanwhile.
    """
    refused: list[Change] = []
    pending = list(changes)
    while pending:
        parts = list(in_calls(pending, BATCH, Change.weight))
        replies = run_scripts(connection, SAVE, [_call(part, now()) for part in parts])
        pending = []
        for part, reply in zip(parts, map(_decode, replies), strict=True):
            for change, (outcome, *facts) in zip(part, reply, strict=True):
                if outcome == "refused":
                    refused.append(change)
                elif outcome == "stale":
                    change.recompute_from(*facts)
                    pending.append(change)
    return refused


def _send(
    batch: list[Change], connection: Redis, moment: datetime, pipeline: Any | None = None
) -> Any:
    keys, arguments = _call(batch, moment)
    if pipeline is None:
        return _decode(run_script(connection, SAVE, keys, arguments))
    return connection.register_script(SAVE.text)(keys, [*arguments, "once"], client=pipeline)


def _call(batch: list[Change], moment: datetime) -> tuple[list[str], list[str]]:
    """Keys and arguments of the script."""
    items = [change.to_script(moment) for change in batch]
    keys = [*CHANGES_KEYS, *(job_key(change.job.id) for change in batch)]
    stamp = f"{moment.timestamp():.6f}"
    return keys, [stamp, utc_text(moment), json.dumps(items), current_actor()]


def _decode(reply: bytes) -> Any:
    return json.loads(reply.decode(errors="replace"))


def resolve_pipelined(job: Record, connection: Redis) -> None:
    """Find out which changes of this object that were queued in pipelines were written.

    Those count as saved: the next save neither overwrites what others have changed since, nor
    brings back what others deleted. All others are still to be written.
    """
    if not job.queued:
        return
    keys = [RECEIPT_PREFIX + change.receipt for change in job.queued]
    ask: Callable[..., Any] = connection.execute_command
    receipts = ask("MGET", *keys, **{NEVER_DECODE: True})  # it may not be text
    job.queued = tuple(
        change
        for change, receipt in zip(job.queued, receipts, strict=True)
        if receipt is None or not _is_recorded(change, receipt)
    )


def _is_recorded(change: Change, receipt: bytes) -> bool:
    """Whether the receipt could be applied; it cannot if somebody else wrote something there."""
    try:
        change.apply_reply(_decode(receipt))
    except (ValueError, TypeError):
        return False
    return True


def delete_arguments(mode: str, ids: Sequence[str | bytes]) -> list[str | bytes]:
    """The arguments of the script `delete`; `mode` is the last one before the ids."""
    moment = now()
    return [f"{moment.timestamp():.6f}", utc_text(moment), current_actor(), mode, *ids]


def delete_schedules(
    ids: Iterable[str | bytes], connection: Redis, pipeline: Any | None = None
) -> int:
    """Delete schedules, each completely; returns how many existed (0 with a pipeline).

    One that code declares stays deleted until it is reset. Raises `ScheduleLockedError` for those
    that only the code may change, after the others were deleted.
    """
    ids = list(ids)
    deleted = 0
    locked: list[tuple[str | bytes, str]] = []
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        keys = [*CHANGES_KEYS, *map(member_key, batch)]
        arguments = delete_arguments("once" if pipeline is not None else "", batch)
        if pipeline is not None:
            connection.register_script(DELETE.text)(keys, arguments, client=pipeline)
            continue
        for id, outcome in zip(batch, run_script(connection, DELETE, keys, arguments), strict=True):
            if isinstance(outcome, int):
                deleted += outcome
            else:
                locked.append((id, outcome.decode(errors="replace")))
    if locked:
        names = ", ".join(repr(id) for id, _ in locked[:5]) + (", ..." if locked[5:] else "")
        raise ScheduleLockedError(
            f"nothing was deleted of {names}: is locked; "
            f"remove it where it is declared: {locked[0][1]}"
        )
    return deleted
