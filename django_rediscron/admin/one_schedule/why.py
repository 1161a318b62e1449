"""The question why a schedule ran or did not run at some time, and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from redis import Redis

from ...conf import current_zone
from ...core.exceptions import InvalidScheduleError
from ...core.story.why import Answer, Evidence, answers
from ..display import mark, time_tag

VERDICTS = {
    "ran": gettext_lazy("ran"),
    "running": gettext_lazy("running"),
    "waiting": gettext_lazy("waiting"),
    "coming": gettext_lazy("coming"),
    "none": gettext_lazy("no run then"),
    "disabled": gettext_lazy("disabled"),
    "paused": gettext_lazy("paused"),
    "overlap": gettext_lazy("overlap"),
    "misfire": gettext_lazy("too late"),
    "missed": gettext_lazy("missed"),
    "error": gettext_lazy("error"),
    "finished": gettext_lazy("finished"),
    "unled": gettext_lazy("no scheduler"),
    "lost": gettext_lazy("lost"),
    "unknown": gettext_lazy("unknown"),
}
_MARKS = {
    "running": "started",
    "waiting": "queued",
    "coming": "queued",
    "none": "canceled",
    "disabled": "canceled",
    "paused": "skip",
    "overlap": "skip",
    "misfire": "skip",
    "missed": "skip",
    "error": "error",
    "finished": "canceled",
    "unled": "error",
    "lost": "error",
}


@dataclass(frozen=True)
class ShownAnswer:
    """One answer as the page shows it."""

    answer: Answer

    @property
    def verdict(self) -> str:
        return str(VERDICTS.get(self.answer.verdict, self.answer.verdict))

    @property
    def mark(self) -> SafeString:
        run, verdict = self.answer.run, self.answer.verdict
        return mark(run.status if run and verdict == "ran" else _MARKS.get(verdict, ""))

    @property
    def time(self) -> SafeString | str:
        return time_tag(self.answer.time)


@dataclass(frozen=True)
class Question:
    """What was asked for, and the answers."""

    time: str
    """As it was typed; empty if nothing was asked for."""
    zone: str
    """The zone in which it is read."""
    answers: Sequence[ShownAnswer] = ()
    wrong: str = ""
    """Why there is no answer."""


def ask(evidence: Evidence, time: str, connection: Redis) -> Question:
    """The answers for a time that was typed, without one for the latest run and the next one."""
    zone = current_zone()
    try:
        found = answers(evidence, time.strip() or None, connection, zone)
    except InvalidScheduleError as error:
        return Question(time, str(zone), wrong=str(error))
    return Question(time, str(zone), [ShownAnswer(each) for each in found])
