"""Every Redis key and hash field name of this package."""

from __future__ import annotations

from rq import defaults

from ..schedule import checks

HAS_OWN_PREFIX = hasattr(defaults, "RQ_KEY_PREFIX")
"""Whether this RQ takes its prefix from the environment; those before 2.12 do not."""

PREFIX: str = getattr(defaults, "RQ_KEY_PREFIX", "rq")

INDEX = f"{PREFIX}:cron_jobs"
"""Sorted set: ids of enabled schedules, scored by next enqueue time. RQ 2.12+ keeps its own
registry of cron names in the same key, so a member is not necessarily a schedule of ours."""

DISABLED = f"{INDEX}:disabled"
"""Sorted set: ids of schedules that do not wait to run, so that no listing scans the keyspace."""

DISABLED_UNTIL = f"{INDEX}:disabled_until"
"""Sorted set: ids of schedules that the leader is to enable, scored by when (epoch seconds)."""

PAUSED = f"{INDEX}:paused"
"""Hash: name of a queue, or `*` for all -> JSON of its pause, see `store/pauses.py`. It stays here
after its end until the leader has settled what came due during it."""

PAUSES = f"{INDEX}:pauses"
"""List: pauses that are over, JSON as in PAUSED with the queue, newest first."""

MAX_PAUSES = 100
"""Kept in that list."""

LOCK = f"{INDEX}:lock"
"""String with a TTL: the token of the one live scheduler, `{scheduler name}:{random hex}`."""

REIGN = f"{INDEX}:reign"
"""Hash: which scheduler leads, or led last if nobody has led since; see `includes/reigns.lua`."""

REIGNS = f"{INDEX}:reigns"
"""List: who led before, and what ended it: JSON, newest first."""

MAX_REIGNS = 1000
"""Kept in that list."""

LAST_UPDATE = f"{INDEX}:last_update"
"""String: epoch seconds of the last change of a definition by any program."""

INDEXED = f"{INDEX}:indexed"
"""String: the value of LAST_UPDATE up to which the two indexes are known to be complete.

rq-rediscron does not know DISABLED. Where it changed something, LAST_UPDATE differs from INDEXED,
and the next complete listing rebuilds the indexes once."""

EVENTS = f"{INDEX}:events"
"""Pub/Sub channel: `{"event": "created", "job_id": "..."}` for each change of a definition."""

RULES = f"{INDEX}:rules"
"""Hash: time zone -> digest of its clock changes, by which next times were computed. See
`timing/clock_rules.py`."""

JOB_PREFIX = f"{PREFIX}:cron_job:"
HISTORY_SUFFIX = checks.HISTORY_SUFFIX

SKIPPED_PREFIX = f"{INDEX}:skipped:"
"""Lists: see `skipped_key`."""

CHANGES_PREFIX = f"{INDEX}:changes:"
"""Lists: see `changes_key`."""

LOGGED_SINCE = f"{INDEX}:logged_since"
"""String: the time since which every schedule has had such a list. One that has none was created
since by a program that keeps none; an older one was there before changes were logged."""

CHANGES_KEPT = 100
"""Changes of one schedule that are kept."""

CHANGES_TTL = 365 * 86400
"""Seconds for which they are kept after the latest one."""

GONE = f"{INDEX}:gone"
"""Sorted set: ids of schedules that were deleted, scored by when, for as long as their changes are
kept. See `story/gone.py`."""

IN_FLIGHT = f"{INDEX}:in_flight"
"""Hash: id of an RQ job of a schedule whose end the leader has not seen -> whose it is, see
`story/in_flight.py`."""

LATE = f"{INDEX}:late"
"""Sorted set with a TTL: ids of schedules by when it was last told that they are late, see
`includes/late.lua`."""

RUNS_PREFIX = f"{INDEX}:runs:"
"""Lists: see `runs_key`."""

OUTCOMES_PREFIX = f"{INDEX}:outcomes:"
"""Hashes: see `outcomes_key`."""

COUNTS = f"{INDEX}:counts"
"""Hash: what was ever counted, in sum over all schedules, also those that were deleted; see
`story/counts.py`."""

STORY_TTL = 365 * 86400
"""Seconds that the story of a schedule is kept after its latest entry, also if it was deleted."""

ALARMS, PROGRESS = f"{INDEX}:alarms", f"{INDEX}:progress"
"""Streams: what the receivers of notifications are to be told, see `includes/notify.lua`."""

TOLD_SUFFIX = ":told"
"""After the name of such a stream, a hash: receiver -> its position, see `notifying/streams.py`."""

DROPPED = f"{INDEX}:dropped"
"""Hash: receiver -> how many notifications it will never be told."""

LONGEST_STREAM = 10_000
"""Notifications that such a stream holds at most."""

RECEIPT_PREFIX = f"{INDEX}:receipt:"
"""Strings with a TTL: replies to saves that the client may not have received."""

RECEIPT_TTL = 3600
"""Seconds in which an object that was saved in a pipeline can learn the result."""

DELETED = f"{INDEX}:deleted"
"""Hash: id -> JSON of the last declaration of a schedule that was deleted while declared."""

APPLICATIONS = f"{INDEX}:applications"
"""Hash: name of an application -> JSON of how its queues are made, for the leader of another."""

FILES = f"{INDEX}:files"
"""Hash: id of a schedule that was imported -> name of the file that named it last."""

ERRORS = f"{INDEX}:errors"
"""Sorted set: ids of schedules that could not be enqueued, scored by the time of the last try."""

BACKFILL_PREFIX = f"{INDEX}:backfill:"
"""Hashes with a TTL: see `backfill_key`."""

HEALTHCHECKS_PREFIX = f"{INDEX}:healthchecks:"
"""Hashes: see `healthchecks_key`."""

SCHEDULERS = f"{PREFIX}:cron_schedulers"
"""Sorted set: RQ's registry of schedulers, scored by their last heartbeat."""

QUEUE_PREFIX = f"{PREFIX}:queue:"
WORKERS_PREFIX = f"{PREFIX}:workers:"
"""RQ's sets: the keys of the workers of a queue."""

RQ_JOB_PREFIX = f"{PREFIX}:job:"
"""Hashes: RQ's jobs, unless they are of a class that has another prefix."""

RESULTS_PREFIX = f"{PREFIX}:results:"
"""Streams: results and tracebacks of an RQ job."""

EXECUTIONS_PREFIX = f"{PREFIX}:executions:"
"""Sorted sets: ids of the executions of an RQ job."""

EXECUTION_PREFIX = f"{PREFIX}:execution:"
"""Hashes, `{job id}:{execution id}`, that live as long as the worker's heartbeats last."""

OCCURRENCE_FIELDS = ("schedule_id", "occurrence")
"""Fields of an RQ job's hash that RQ neither knows nor removes: whose job it is, and its nominal
time as UTC text, empty for a run by hand. The dispatch script fills them in, as the last ones."""


def holder_name(token: str) -> str:
    """The name of the scheduler that a token of the lock belongs to."""
    return token.rpartition(":")[0] or token


def scheduler_key(name: str) -> str:
    """The hash that RQ keeps of a scheduler."""
    return f"{PREFIX}:cron_scheduler:{name}"


def job_key(id: str) -> str:
    """The hash that holds one schedule."""
    return JOB_PREFIX + id


def member_key(member: str | bytes) -> str | bytes:
    """The same for a member of an index, which need not be UTF-8."""
    return JOB_PREFIX.encode() + member if isinstance(member, bytes) else JOB_PREFIX + member


def history_key(id: str) -> str:
    """The sorted set of RQ job ids that a schedule enqueued, in RQ's own format."""
    return JOB_PREFIX + id + HISTORY_SUFFIX


def skipped_key(id: str) -> str:
    """The list of occurrences of a schedule that did not run, and why: JSON, newest first."""
    return SKIPPED_PREFIX + id


def changes_key(id: str) -> str:
    """The list of the changes of a schedule: its definition as it is known, and behind that the
    changes, newest first, each a JSON object."""
    return CHANGES_PREFIX + id


def runs_key(id: str) -> str:
    """The list of a schedule's runs that have ended, newest first: see `story/runs.py`."""
    return RUNS_PREFIX + id


def outcomes_key(id: str) -> str:
    """The hash of how a schedule's runs ended: latest times, failures in a row, counts; and of how
    many occurrences it skipped."""
    return OUTCOMES_PREFIX + id


def backfill_key(id: str) -> str:
    """The hash of how far the backfill of a schedule has got: see `backfill/note.py`."""
    return BACKFILL_PREFIX + id


def healthchecks_key(account: str) -> str:
    """The hash of what the checks of an account of Healthchecks were told: see
    `notify/healthchecks/sent.py`. `account`: a digest of its address and key."""
    return HEALTHCHECKS_PREFIX + account


TIMING_FIELDS = ("interval", "cron", "timezone", "start_at")
"""After a change of one of these the next enqueue time is recomputed."""

FACTS = (*TIMING_FIELDS, "end_at", "latest_enqueue_time", "next_enqueue_time")
"""What a next enqueue time is computed from; a missing field counts as ""."""

EDIT_FIELDS = ("revision", "updated_at", "created_at")
"""What an edit changes: rq-rediscron raises no revision, it sets `updated_at`. A schedule that was
never edited has neither; `created_at` tells it from another one that took its id."""

RUNTIME_FIELDS = (
    "latest_enqueue_time",
    "next_enqueue_time",
    "last_error",
    "last_error_at",
    "runs",
    "finished_at",
)
"""Written by the scheduler only. All other fields are written by people and their programs."""

OFF_FIELDS = ("disabled_at", "disabled_by", "disabled_reason", "disabled_until")
"""Since when a schedule is disabled, by whom, why, and until when. Programs that do not know them
leave them behind when they enable it: they count only while it is disabled."""

ORIGIN_FIELDS = (
    "source",
    "application",
    "place",
    "declared",
    "locked",
    "orphaned_at",
    "disabled_as_orphan_at",
)
"""About the code that declares a schedule; those created at run time have none of them."""

UNLOGGED_FIELDS = (
    "id",
    *EDIT_FIELDS,
    *RUNTIME_FIELDS,
    *OFF_FIELDS,
    "place",
    "declared",
    "orphaned_at",
    "disabled_as_orphan_at",
)
"""Fields whose changes are not logged: all others belong to the definition, those of other programs
as well."""
