"""What is shown with the form of a schedule: how it differs from the code, and its story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.http import QueryDict
from redis import Redis
from redis.exceptions import RedisError

from ...core.job import RedisCronJob
from ...core.story.changes import ChangeLog
from ...core.story.runs import Run
from ...core.story.why import gather
from ...models import Schedule
from ..display import RECENT_RUNS
from ..log import display_value, label
from ..runs import recent_runs
from .story import MOST_RUNS, Records, entries_of
from .story_page import StoryPage, narrow
from .why import Question, ask


@dataclass(frozen=True)
class Override:
    """A field whose value is not that of the code."""

    name: str
    label: str
    actual: str
    declared: str


@dataclass
class Details:
    """What is shown with the form of a schedule."""

    overrides: list[Override] = field(default_factory=list)
    story: StoryPage | None = None
    question: Question | None = None
    latest_runs: Sequence[Run] = ()
    log: ChangeLog = field(default_factory=lambda: ChangeLog(None, []))
    unread: str = ""
    """Why the story could not be read."""


def read_details(schedule: Schedule, connection: Redis, query: QueryDict) -> Details:
    """All of it, the story as the query narrows it down. What cannot be read from Redis is left
    out, with the reason. Raises `NoSuchJobError` if nothing is on record of it."""
    details = Details()
    if schedule.job is not None:
        details.overrides = list(_overrides(schedule.job))
    try:
        evidence = gather(schedule.id, connection)
        runs = evidence.runs or recent_runs([schedule.id], connection, MOST_RUNS)[schedule.id]
        details.log = evidence.log
        records = Records.of(evidence, runs)
        details.latest_runs = records.runs[:RECENT_RUNS]
        details.story = narrow(entries_of(records), query)
        details.question = ask(evidence, query.get("why", ""), connection)
    except RedisError as error:
        details.unread = str(error)
    return details


def _overrides(job: RedisCronJob) -> Iterable[Override]:
    for name, (actual, declared) in job.overrides.items():
        yield Override(
            name, label(name), display_value(name, actual), display_value(name, declared)
        )
