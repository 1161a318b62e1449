"""The listing for programs: one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import islice
from operator import attrgetter
from typing import Any

from rq import Retry

from ...core.job import RedisCronJob
from ...core.schedule.options import JOB_DEFAULTS, TIME_DEFAULTS
from ...core.sensitive import mask, mask_changes
from ...core.store import Listing
from ...core.store.pauses import Pause, state_of
from ...core.store.reading import BATCH
from ...core.timing.cron_times import utc_text
from .choice import chosen_tombstones, stream_chosen

JSON_FIELDS = (
    "id", "name", "schedule", "interval", "cron", "queue_name", "func_name", "args", "kwargs",
    "enabled", "state", "disabled_at", "disabled_by", "disabled_reason", "disabled_until",
    "next_enqueue_time", "latest_enqueue_time", "last_error", "last_error_at",
    "created_at", "updated_at", "revision", "runs", "finished_at", *TIME_DEFAULTS,
    "source", "application", "place", "locked", "orphaned_at", "overrides",
)  # fmt: skip
"""Attributes of a schedule in the JSON listing, under the same names."""


JSON_OPTIONS = ("job_timeout", "result_ttl", "ttl", "failure_ttl", "meta", *JOB_DEFAULTS)
"""What RQ is told of each job, likewise."""


_attributes = attrgetter(*JSON_FIELDS)
_KEPT = frozenset({str, int, bool, type(None)})


def to_json(listing: Listing, queues: Sequence[str] = ()) -> str:
    """The listing as one JSON object on one line, in ASCII.

    `jobs` holds an object with `JSON_FIELDS` and `JSON_OPTIONS` for each schedule, `damaged` one
    with `id` and `reason` for each that cannot be read (whichever queues are asked for), `deleted`
    one with `id`, `application` and `place` for each that was deleted by hand while code declares
    it, `paused` one for each pause (`queue` is null if it is that of all),
    `leader` the name of the scheduler that leads or null, `standbys` those that wait to take
    over, `updated` the time. Times are UTC in RQ's format, or null.
    """
    return "".join(json_parts(listing, queues))


def json_parts(listing: Listing, queues: Sequence[str] = ()) -> Iterator[str]:
    """The text of `to_json` in parts, each with as many schedules as are read at once."""
    jobs = stream_chosen(listing, queues)
    yield '{"jobs": ['
    separator = ""
    while batch := list(islice(jobs, BATCH)):
        yield separator + ", ".join(json.dumps(_facts(job, listing)) for job in batch)
        separator = ", "
    leadership = listing.leadership
    rest = {
        "damaged": [{"id": each.id, "reason": each.reason} for each in listing.damaged],
        "deleted": [
            {"id": each.id, "application": each.application, "place": each.place}
            for each in chosen_tombstones(listing, queues)
        ],
        "paused": [pause_facts(each) for each in listing.pauses],
        "leader": leadership and leadership.leader and leadership.leader.name,
        "standbys": [each.name for each in leadership.standbys] if leadership else [],
        "updated": utc_text(datetime.now(timezone.utc)),
    }
    yield f"], {json.dumps(rest)[1:]}"


def _facts(job: RedisCronJob, listing: Listing) -> Any:
    return {**schedule_facts(job), "state": state_of(job, listing.pauses)}


def pause_facts(pause: Pause) -> dict[str, Any]:
    """A pause in JSON."""
    return {
        "queue": pause.queue,
        "at": utc_text(pause.at),
        "by": pause.by,
        "reason": pause.reason,
        "until": pause.until and utc_text(pause.until),
        "missed": pause.missed,
    }


def schedule_facts(job: RedisCronJob) -> Any:
    """A schedule in JSON: `JSON_FIELDS` and `JSON_OPTIONS`."""
    facts = {
        **dict(zip(JSON_FIELDS, _attributes(job), strict=True)),
        "kwargs": mask(job.kwargs),
        "overrides": {
            field: {"value": value, "code": code}
            for field, (value, code) in mask_changes(job.overrides).items()
        },
        **{option: job.job_options.get(option) for option in JSON_OPTIONS},
    }
    return _for_json(facts)


def _for_json(value: Any, depth: int = 100) -> Any:
    """The value in types that every reader of JSON accepts: no NaN, and not nested without end."""
    if type(value) in _KEPT:
        return value
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Retry):
        return {"max": value.max, "intervals": list(value.intervals)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (dict, list, tuple)) and depth == 0:
        return "..."
    if isinstance(value, dict):
        return {str(key): _for_json(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_json(item, depth - 1) for item in value]
    return value
