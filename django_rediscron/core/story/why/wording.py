"""Times, durations and people in the sentences of an answer."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from ...quoting import cut
from ..changes import CREATED, DELETED, LoggedChange
from ..runs import Run
from .gaps import Gap
from .timeline import OUTSIDE

UNLED = "no scheduler is running"

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def tell_time(time: datetime, zone: tzinfo | None) -> str:
    """`2026-03-23 03:00 CET`, with seconds if they are not zero. Zone None: the local one."""
    local = time.astimezone(zone)
    seconds = ":%S" if local.second or local.microsecond else ""
    return local.strftime(f"%Y-%m-%d %H:%M{seconds} %Z")


def tell_duration(duration: timedelta | float) -> str:
    """`3 h 10 min`: the two largest units."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    left, parts = round(seconds), []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def tell_lateness(seconds: float | None) -> str:
    """How late a job was enqueued."""
    if seconds is None or seconds < 0.05:
        return ""
    return f", {tell_duration(seconds)} late"


def tell_progress(run: Run, moment: datetime, zone: tzinfo | None) -> str:
    """What a run did after it was enqueued, as the end of a sentence."""
    worker = f" on worker {run.worker}" if run.worker else ""
    attempts = f" in attempt {run.attempts}" if run.attempts > 1 else ""
    too_long = ", longer than its max_runtime" if run.is_too_long else ""
    error = f": {run.error}" if run.error else ""
    if run.status == "queued":
        return f", and waits for another attempt after {run.attempts}{error}"
    if run.status == "started":
        since = run.started_at or moment
        lasts = tell_duration(max(moment - since, timedelta()))
        begun = f", and has been running since {tell_time(since, zone)}, for {lasts}"
        return f"{begun}{too_long}{attempts}{worker}"
    if run.status == "unknown":
        return "; RQ deleted it before its end was seen, so how it ended is unknown"
    if run.status == "canceled":
        return f", and was canceled{attempts}"
    took = f" after {tell_duration(run.duration)}" if run.duration is not None else ""
    return f", and {run.status}{took}{too_long}{attempts}{worker}{error}"


def told(change: LoggedChange) -> str:
    """What was done to a schedule."""
    if change.what == OUTSIDE:
        switched = change.fields.get("enabled", (None, None))  # a field that every schedule has
        return f"{_SWITCHED.get(switched, 'changed')} by a program that keeps no log"
    return _DONE.get(change.what, "changed")


_DONE = {
    CREATED: "created",
    DELETED: "deleted",
    "enabled": "enabled",
    "disabled": "disabled",
    "reset": "reset to what the code declares",
    "reverted": "reverted to an earlier definition",
    "synced": "changed to what the code declares",
}
_SWITCHED = {
    (None, "0"): "created",
    (None, "1"): "created",
    ("0", None): "deleted",
    ("1", None): "deleted",
    ("0", "1"): "enabled",
    ("1", "0"): "disabled",
}


def tell_change(change: LoggedChange | None, zone: tzinfo | None) -> str:
    """` at TIME by ACTOR (REASON) until TIME`; empty if it is not on record."""
    if change is None:
        return ""
    at = tell_time(change.at, zone)
    if change.what == OUTSIDE:
        return f" (noticed at {at})"
    reason = f" ({cut(change.reason, 200)})" if change.reason else ""
    until = f" until {tell_time(change.until, zone)}" if change.until else ""
    return f" at {at} by {change.actor}{reason}{until}"


def tell_gap(gap: Gap | None, zone: tzinfo | None) -> str:
    """`no scheduler was leading from ... (NAME stopped) to ...`."""
    if gap is None:
        return "no scheduler was leading"
    text = "no scheduler was leading" if gap.after else "no scheduler has been leading"
    if gap.since is not None and gap.before is not None:
        how = gap.before.end or "was gone"
        ending = {"lock lost": "lost the lock"}.get(how, how)
        text += f" {'from' if gap.after else 'since'} {tell_time(gap.since, zone)}"
        text += f" ({gap.before.leader} {ending})"
    if gap.until is not None and gap.after is not None:
        text += f" {'to' if gap.since else 'before'} {tell_time(gap.until, zone)}"
        text += f" ({gap.after.leader} took over)" if gap.since else f" ({gap.after.leader})"
    return text
