"""The story of a schedule: its runs, skipped runs, errors, changes and leaders as lines in time
order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...conf import local
from ...core.schedule.missed import Skip
from ...core.story.changes import CREATED, DELETED, LoggedChange
from ...core.story.in_flight import BACKFILL, HAND
from ...core.story.reigns import Reign
from ...core.story.runs import Run
from ...core.story.skips import Failure
from ...core.story.why import Evidence
from ..display import LATE, NOTHING, absolute, clock_tag, job_url, mark, outcome, span
from ..log import display_value, label

MOST_RUNS = 1000
"""Runs in a story; `rqrcron history` shows all that are kept."""
LONGEST_TEXT = 500
"""Characters of an error."""
LONGEST_VALUE = 80
"""Characters of an old or new value."""

REASONS = {
    "misfire": gettext_lazy("missed by more than the maximum delay"),
    "catch_up": gettext_lazy("missed, and not caught up"),
    "overlap": gettext_lazy("an earlier run had not ended"),
    "paused": gettext_lazy("paused"),
}
CHANGES = {
    "created": gettext_lazy("Created by %s"),
    "updated": gettext_lazy("Changed by %s"),
    "enabled": gettext_lazy("Enabled by %s"),
    "disabled": gettext_lazy("Disabled by %s"),
    "deleted": gettext_lazy("Deleted by %s"),
    "reset": gettext_lazy("Reset to code by %s"),
    "reverted": gettext_lazy("Reverted by %s"),
    "synced": gettext_lazy("Synced by %s"),
    "outside": gettext_lazy("Changed by another program"),
}
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
ENDS = {
    "stopped": gettext_lazy("%s stopped"),
    "lock lost": gettext_lazy("%s lost the lock"),
    "died": gettext_lazy("%s died"),
}


class FieldChange(NamedTuple):
    """A field with its old and its new value, long ones cut."""

    label: str
    old: str
    new: str


@dataclass(frozen=True)
class StoryEntry:
    """One line."""

    at: datetime | None
    """None for a run whose time cannot be read."""
    kind: str
    """`run`, `backfill` (also a run), `skip`, `error`, `change` or `reign`."""
    text: str
    facts: Sequence[str] = ()
    """More about it, each in a few words."""
    quote: str = ""
    """The text of an error."""
    outcome: str = ""
    """The state of a run, and of nothing else."""
    job_id: str = ""
    queue_name: str = ""
    fields: Sequence[FieldChange] = ()
    revision: int | None = None
    """What a change made of the schedule, to which one can revert."""

    @property
    def mark(self) -> SafeString:
        return mark(self.outcome or self.kind)

    @property
    def url(self) -> str | None:
        """The page of the job in django-rq."""
        return job_url(self.queue_name, self.job_id)

    @property
    def time(self) -> SafeString | str:
        return NOTHING if self.at is None else clock_tag(self.at)

    @property
    def day(self) -> date | None:
        """The day in the zone in which people read times."""
        return None if self.at is None else local(self.at).date()


@dataclass(frozen=True)
class Records:
    """What is on record of a schedule, newest first."""

    runs: Sequence[Run] = ()
    skips: Sequence[Skip | Failure] = ()
    changes: Sequence[LoggedChange] = ()
    reigns: Sequence[Reign] = ()
    is_gone: bool = False
    """Whether the newest change deleted it."""

    @classmethod
    def of(cls, evidence: Evidence, runs: Sequence[Run]) -> Records:
        """What was read of it, with these runs."""
        newest = sorted(runs, key=lambda run: run.enqueued_at or _NEVER, reverse=True)[:MOST_RUNS]
        log = evidence.log
        return cls(newest, evidence.records, log.changes, evidence.reigns, is_gone=log.known == {})


def entries_of(records: Records) -> list[StoryEntry]:
    """All of these, newest first; leaders only since the first of anything else."""
    found = [
        *_run_entries(records.runs),
        *map(_skip_entry, records.skips),
        *_change_entries(records.changes, is_gone=records.is_gone),
    ]
    first = min((entry.at for entry in found if entry.at), default=None)
    for reign in records.reigns:
        if first is not None and (reign.until is None or reign.until >= first):
            found += _reign_entries(reign)
    return sorted(found, key=lambda entry: entry.at or _NEVER, reverse=True)


def _run_entries(runs: Iterable[Run]) -> Iterable[StoryEntry]:
    for run in runs:
        at = run.enqueued_at or run.started_at or run.ended_at
        yield StoryEntry(
            at,
            BACKFILL if run.cause == BACKFILL else "run",
            capfirst(outcome(run)),
            facts=tuple(_run_facts(run, at)),
            quote=Truncator(run.error).chars(LONGEST_TEXT),
            outcome=run.status or "unknown",
            job_id=run.job_id,
            queue_name=run.queue_name,
        )


def _run_facts(run: Run, at: datetime | None) -> Iterable[str]:
    if run.cause == HAND:
        yield _("run by hand")
    elif run.cause == BACKFILL and run.occurrence:
        yield _("backfill")
        yield _due(clock_tag(run.occurrence))
    elif at and run.occurrence and (at - run.occurrence).total_seconds() >= LATE:
        yield _due(clock_tag(run.occurrence))
    if run.duration is not None:
        yield _("took %s") % _length(run.duration.total_seconds())
    if run.is_too_long:
        yield _("longer than its limit")
    if run.attempts > 1:
        yield _("%d attempts") % run.attempts
    if run.worker:
        yield _("worker %s") % run.worker


def _length(seconds: float) -> str:
    return span(seconds) if seconds >= 10 else _("%.1f s") % seconds


def _skip_entry(skip: Skip | Failure) -> StoryEntry:
    if isinstance(skip, Failure):
        facts = (_due(clock_tag(skip.occurrence)),)
        error = Truncator(skip.text).chars(LONGEST_TEXT)
        return StoryEntry(skip.at, "error", _("Could not be enqueued"), facts, quote=error)
    due = clock_tag(skip.occurrence)
    if skip.until != skip.occurrence:
        due = format_html("{} – {}", due, clock_tag(skip.until))
    text = ngettext("%d run skipped", "%d runs skipped", skip.count) % skip.count
    reason = str(REASONS.get(skip.reason, skip.reason))
    return StoryEntry(skip.at, "skip", text, (reason, _due(due)))


def _due(when: SafeString) -> SafeString:
    return format_html(_("due at {}"), when)


def _change_entries(changes: Iterable[LoggedChange], *, is_gone: bool) -> Iterable[StoryEntry]:
    # What a schedule was before it was created again has revisions of its own.
    is_same = True
    for position, change in enumerate(changes):
        is_newest = position == 0
        is_end = change.what == DELETED or (is_newest and is_gone)
        is_same = is_same and (is_newest or not is_end)
        yield _change_entry(change, change.revision if is_same and not is_end else None)
        is_same = is_same and change.what != CREATED


def _change_entry(change: LoggedChange, revision: int | None) -> StoryEntry:
    text = str(CHANGES.get(change.what, "%s"))
    until = _("until %s") % absolute(change.until) if change.until else ""
    return StoryEntry(
        change.at,
        "change",
        text % change.actor if "%s" in text else text,
        facts=tuple(filter(None, (until, change.reason))),
        fields=tuple(_field_changes(change)),
        revision=revision,
    )


def _field_changes(change: LoggedChange) -> Iterable[FieldChange]:
    for name, (old, new) in change.fields.items():
        if name == "enabled" and (change.what in ("enabled", "disabled") or None in (old, new)):
            continue  # the name of the change says it, or that there was no schedule
        values = (display_value(name, value or "") for value in (old, new))
        yield FieldChange(label(name), *(Truncator(value).chars(LONGEST_VALUE) for value in values))


def _reign_entries(reign: Reign) -> Iterable[StoryEntry]:
    where = [_("host %s") % reign.host] if reign.host else []
    where += [_("process %s") % reign.pid] if reign.pid else []
    yield StoryEntry(reign.since, "reign", _("%s became the leader") % reign.leader, where)
    if reign.until is not None:
        text = str(ENDS.get(reign.end, "%s"))
        lasted = _("led for %s") % span((reign.until - reign.since).total_seconds())
        yield StoryEntry(reign.until, "reign", text % reign.leader, (lasted,))
