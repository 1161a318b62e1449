"""The listing for people: a table, and below it what they should know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from ...core.job import RedisCronJob
from ...core.monitoring.leadership import Leadership
from ...core.schedule.origin import describe
from ...core.store import Listing
from ...core.store.pauses import Pause, state_of
from ...core.timing.cron_times import utc_text
from ...terminal import columns, one_line
from .choice import chosen, chosen_tombstones

NOTHING = "No scheduled jobs"


def render(
    listing: Listing,
    queues: Sequence[str] = (),
    *,
    by_queue: bool = False,
    now: datetime | None = None,
) -> str:
    """The listing as a table, of all queues or of those named, without the last newline.

    Below the total stand the schedulers that lead and stand by, if any stands by, what is paused,
    schedules that are not as the code declares them, who disabled which and why, those whose last
    run failed and those that cannot be read. The latter are named for every choice of queues: which
    queue was theirs cannot be read either. If no scheduler leads, the last line says so.
    """
    jobs = chosen(listing, queues)
    if not jobs:
        lines = [NOTHING]
    elif by_queue:
        lines = _table_by_queue(jobs, listing.pauses)
    else:
        lines = columns([[*_cells(job, listing.pauses), one_line(job.queue_name)] for job in jobs])
        lines.append(f"{len(jobs)} scheduled jobs total")
    lines += _schedulers(listing.leadership)
    for pause in listing.pauses:
        if pause.queue is None or not queues or pause.queue in queues:
            lines.append(f"paused   {one_line(f'{pause.what}: {pause.describe(utc_text)}')}")
    lines += [line for job in jobs for line in _against_code(job)]
    for tombstone in chosen_tombstones(listing, queues):
        lines.append(
            f"code     {one_line(tombstone.id)}: deleted by hand, declared at "
            f"{one_line(tombstone.place)}"
        )
    for job in jobs:
        off = "" if job.enabled else job.off.describe(utc_text)
        if off:
            lines.append(f"disabled {one_line(job.id)}: {one_line(off)}")
    for job in jobs:
        if job.last_error:
            lines.append(f"error    {one_line(job.id)}: {one_line(job.last_error)}")
    for damaged in listing.damaged:
        what = "error  " if damaged.refused else "damaged"
        lines.append(f"{what}  {one_line(damaged.id)}: {one_line(damaged.reason)}")
    updated = (now or datetime.now()).isoformat(" ", "microseconds")
    lines += ["", f"Updated: {updated}", *_warnings(listing.leadership)]
    return "\n".join(line.rstrip() for line in lines)


def _table_by_queue(jobs: list[RedisCronJob], pauses: Sequence[Pause]) -> list[str]:
    lines = []
    groups = 0
    for queue_name, group in groupby(jobs, key=lambda job: job.queue_name):
        groups += 1
        rows = columns([_cells(job, pauses) for job in group])
        lines += [f"{one_line(queue_name)}:", *(f"  {row}" for row in rows), ""]
    return [*lines, f"{groups} queues, {len(jobs)} scheduled jobs total"]


def _cells(job: RedisCronJob, pauses: Sequence[Pause]) -> list[str]:
    state = state_of(job, pauses)
    if state == "error":  # errors stand below the table
        state = "enabled"
    if job.state == "finished":
        next_time = "-"
    elif job.next_enqueue_time is not None:
        next_time = utc_text(job.next_enqueue_time)
    else:
        next_time = "now" if job.enabled else "-"
    return [one_line(job.id), one_line(job.schedule), f"{state:8}", next_time]


def _schedulers(leadership: Leadership | None) -> list[str]:
    """Who leads and who stands by, on one line; nothing where nobody stands by."""
    if leadership is None or not leadership.standbys:
        return []
    leader = leadership.leader
    parts = [f"{one_line(leader.name)} leads" if leader else "nobody leads"]
    parts += [f"{one_line(standby.name)} stands by" for standby in leadership.standbys]
    return [f"Scheduler: {', '.join(parts)}"]


def _warnings(leadership: Leadership | None) -> list[str]:
    if leadership is None or leadership.leader is not None:
        return []
    return ["No scheduler is running: nothing will be enqueued"]


def _against_code(job: RedisCronJob) -> Iterator[str]:
    """A line for each way in which a schedule is not as code declares it."""
    if job.orphaned_at is not None:
        yield (
            f"code     {one_line(job.id)}: orphan: no longer declared since "
            f"{utc_text(job.orphaned_at)}, then at {one_line(job.place or '')}"
        )
    if job.overrides:
        yield f"code     {one_line(job.id)}: {one_line(describe(job.overrides))}"
