"""Many schedules at once: listing them, and keeping the indexes true."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import as_text, now

from ..schedule.checks import NO_ADDRESS, check_id
from ..schedule.record import Record
from ..schedule.texts import lossy_text
from ..timing.cron_times import MAX_SECONDS, utc_text
from .change import Change
from .connections import bytes_client
from .creation import create_new
from .keys import (
    DISABLED,
    DISABLED_UNTIL,
    ERRORS,
    HISTORY_SUFFIX,
    INDEX,
    INDEXED,
    JOB_PREFIX,
    LAST_UPDATE,
    member_key,
)
from .pauses import Pause
from .reading import Absent, Damaged, read_schedules
from .saving import save_changes
from .scripts import Script, Step, in_steps, no_step, run_script
from .search import search

BATCH = 500
"""Hashes read in one round trip."""

SCANNED = 1000
"""Keys of any kind that Redis looks at in one step of a scan."""

LONGEST_DELAY = 300
"""Seconds at most until a schedule that cannot be enqueued is retried. It takes precedence over the
rate of attempts, so that none waits long after its cause was fixed."""

REINDEX = Script(
    "reindex",
    JOB_PREFIX=JOB_PREFIX,
    LONGEST_DELAY=LONGEST_DELAY,
    MAX_SECONDS=MAX_SECONDS,
    DISABLED_UNTIL=DISABLED_UNTIL,
)
PRUNE = Script("prune")


Watch = Callable[[Iterator[Any], int], Iterator[Any]]
"""Passes on all steps, of which there are about so many."""

Job = TypeVar("Job", bound=Record)
Deleted = TypeVar("Deleted")
Leadership = TypeVar("Leadership")


@dataclass
class Listing(Generic[Job, Deleted, Leadership]):
    """Schedules by queue and id, and separately those that cannot be read."""

    # Which types these are is said in `__init__.pyi`: they are defined on floors above this one.

    jobs: list[Job] = field(default_factory=list)
    """As `RedisCronJob`."""
    damaged: list[Damaged] = field(default_factory=list)
    deleted: list[Deleted] = field(default_factory=list)
    """Deleted by hand while code declares them, if asked for."""
    leadership: Leadership | None = None
    """Who leads and who stands by, if asked for."""
    queues: frozenset[str] | None = None
    """Names of all known queues, with or without schedules; None: not asked for."""
    pauses: Sequence[Pause] = ()
    """Those that are on, if asked for."""


@dataclass
class StreamedListing(Listing[Job, Deleted, Leadership]):
    """A listing without `jobs`: `stream` reads them while it is iterated, once.

    `damaged` is complete afterwards.
    """

    stream: Iterator[Job] = field(default_factory=lambda: iter(()))


@dataclass
class ReindexReport:
    """What `reindex` found: all schedules, those put back into an index, stale members removed.

    `ahead`: ids of schedules whose latest run is in the future, because the clock was set back.
    `gone`: the stale members. `foreign`: ids of all schedules, if a program changed some that does
    not maintain our indexes.
    """

    schedules: int = 0
    restored: int = 0
    pruned: int = 0
    ahead: list[str] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def list_schedules(
    connection: Redis,
    *,
    enabled_only: bool = False,
    among: Container[str] | None = None,
    watch: Watch = lambda steps, count: steps,
) -> Listing[Any, Any, Any]:
    """All schedules, or the enabled ones, or those of these ids. `watch` sees them being read.

    Members of the indexes that have no hash are removed.

    Imports no user code, and scans the keyspace only once after a program that does not maintain
    the index of disabled schedules (rq-rediscron) changed something.
    """
    listing: Listing[Any, Any, Any] = Listing()
    members = _members(connection, [INDEX] if enabled_only else [INDEX, DISABLED], among)
    jobs = watch(_read_into(listing, members, connection), len(members))
    listing.jobs = sorted(
        (job for job in jobs if job.enabled or not enabled_only),
        key=lambda job: (job.queue_name, job.id),
    )
    return listing


def stream_schedules(
    connection: Redis, *, among: Container[str] | None = None
) -> StreamedListing[Any, Any, Any]:
    """As `list_schedules`, without holding all schedules in memory."""
    members = _members(connection, [INDEX, DISABLED], among)
    # One whose queue is not found is damaged, and is listed separately.
    queue_of: dict[str, str] = dict(cast("Any", search(connection, values=("queue_name",))))
    order = [(queue_of.get(id := lossy_text(member), ""), id, member) for member in members]
    order.sort(key=itemgetter(0, 1))
    queues = frozenset(queue_of.values()) - {""}
    listing: StreamedListing[Any, Any, Any] = StreamedListing(queues=queues)
    listing.stream = _read_into(listing, [member for _, _, member in order], connection)
    return listing


def _members(
    connection: Redis, indexes: Sequence[str], among: Container[str] | None = None
) -> list[Any]:
    """The members of the indexes, which are completed first if necessary."""
    indexed, updated = connection.mget(INDEXED, LAST_UPDATE)
    if indexed != updated:
        with suppress(ResponseError):  # a replica, or a user who may only read
            reindex(connection)
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        for key in indexes:
            pipe.zrange(key, 0, -1)
        members = list({member: None for reply in pipe.execute() for member in reply})
    return members if among is None else [each for each in members if lossy_text(each) in among]


def _read_into(
    listing: Listing[Any, Any, Any], members: Sequence[Any], connection: Redis
) -> Iterator[Record]:
    """Those that can be read. The others are listed as damaged, or removed from the indexes."""
    absent: list[Any] = []
    for member, (found, _) in zip(members, read_schedules(members, connection), strict=True):
        if isinstance(found, Absent):
            absent.append(member)
        elif isinstance(found, Damaged):
            listing.damaged.append(found)
        else:
            yield found
    listing.damaged.sort(key=lambda damaged: damaged.id)
    with suppress(ResponseError):
        prune(absent, connection)


def fetch_many(
    ids: Iterable[str], connection: Redis, job_class: type[Record] | None = None
) -> dict[str, Any]:
    """Schedules by id (`RedisCronJob` or `Damaged`), in one round trip for many.

    Those that do not exist are left out.
    """
    ids = list(ids)
    found = zip(ids, read_schedules(ids, connection, job_class), strict=True)
    return {id: job for id, (job, _) in found if not isinstance(job, Absent)}


def define_many(jobs: Sequence[Record], connection: Redis) -> None:
    """Create or edit all of them in few round trips, each one completely.

    As `register` does: `created_at` is kept, and `enabled` if `enabled_given` is False.
    """
    for job in jobs:
        job.validate()
    changes = [Change.define(job) for job in create_new(jobs, connection)]
    save_changes(changes, connection)


def reindex(connection: Redis, step: Step = no_step) -> ReindexReport:
    """Put back schedules that are missing from the indexes, and remove members that do not belong.

    A schedule belongs in the index that follows from its hash, with a score not much later than its
    next time, and among those in error if it has an error.

    Scans the keyspace in steps that block Redis for a moment only; `step` is called after each.
    """
    indexed, updated = connection.mget(INDEXED, LAST_UPDATE)
    report = ReindexReport()
    ids = scan_ids(connection, step)
    while batch := list(islice(ids, BATCH)):
        _index(batch, connection, report)
        if indexed != updated:
            report.foreign += batch
        step()
    for index in (INDEX, DISABLED):
        absent = _absent_members(index, connection, step)
        report.gone += absent
        report.pruned += prune(absent, connection, step)
    failed = cast("list[bytes]", bytes_client(connection).zrange(ERRORS, 0, -1))
    report.pruned += prune(failed, connection, step)
    if updated is not None:
        connection.set(INDEXED, updated)
    return report


def scan_ids(connection: Redis, step: Step = no_step) -> Iterator[str]:
    """Ids of all hashes in the keyspace, whether they are in an index or not."""
    client = bytes_client(connection)
    cursor: Any = "0"  # zero as a number only when the scan has come round
    while cursor != 0:
        cursor, keys = client.scan(cursor, match=f"{JOB_PREFIX}*", count=SCANNED, _type="hash")
        for key in keys:
            try:
                id = as_text(key)[len(JOB_PREFIX) :]
                if id not in NO_ADDRESS:  # other programs may make them
                    check_id(id)
            except ValueError:
                continue  # not ours: no id that we would have accepted
            yield id
        step()


def _absent_members(index: str, connection: Redis, step: Step) -> list[bytes]:
    """Members of an index that have no hash."""
    client = bytes_client(connection)
    absent: list[bytes] = []
    for start in range(0, connection.zcard(index), BATCH):
        # A page shifts if members come and go meanwhile; a missed one does no harm.
        part = cast("list[bytes]", client.zrange(index, start, start + BATCH - 1))
        with client.pipeline(transaction=False) as pipe:
            for member in part:
                pipe.exists(member_key(member))
            absent += [m for m, there in zip(part, pipe.execute(), strict=True) if not there]
        step()
    return absent


def waiting_ids(connection: Redis) -> list[str]:
    """Ids of the schedules that wait to run; one that is not UTF-8 matches no schedule."""
    members = cast("list[bytes]", connection.zrange(INDEX, 0, -1))
    return [member.decode(errors="replace") for member in members]


def index_missing(ids: Iterable[str], connection: Redis, step: Step = no_step) -> None:
    """Put these schedules into an index if they are in none, after other programs changed them."""
    for part in in_steps(list(ids), BATCH, step):
        _index(part, connection, ReindexReport())


def _index(ids: Sequence[str], connection: Redis, report: ReindexReport) -> None:
    moment = now()
    soon = utc_text(moment + timedelta(seconds=1))
    arguments = [f"{moment.timestamp():.6f}", soon, *ids]
    schedules, restored, misplaced, *ahead = json.loads(
        run_script(connection, REINDEX, [INDEX, DISABLED], arguments)
    )
    report.schedules += schedules
    report.restored += restored
    report.pruned += misplaced
    report.ahead += ahead


def retry_failed(connection: Redis, step: Step = no_step) -> None:
    """Make schedules in error due at once: the cause may have been fixed.

    A new leader does so, as it may have other code and settings.
    """
    failed = cast("list[bytes]", bytes_client(connection).zrange(ERRORS, 0, -1))
    for part in in_steps(failed, BATCH, step):
        soon: Any = dict.fromkeys(part, now().timestamp())
        # Dispatch reads the hash, and corrects the score of one that is no longer due.
        connection.zadd(INDEX, soon, xx=True, lt=True)


def prune(members: Sequence[Any], connection: Redis, step: Step = no_step) -> int:
    """Remove members without a hash, except RQ's own names, which have a history.

    Those whose hash has no error are removed from the errors.
    """
    pruned = 0
    for part in in_steps(members, BATCH, step):
        arguments = [JOB_PREFIX, HISTORY_SUFFIX, *part]
        pruned += run_script(connection, PRUNE, [INDEX, DISABLED, ERRORS], arguments)
    return pruned
