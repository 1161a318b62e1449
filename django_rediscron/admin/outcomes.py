"""What became of a run, in words."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from ..core.store.runs import Run

OUTCOMES = {
    "queued": gettext_lazy("queued"),
    "started": gettext_lazy("started"),
    "finished": gettext_lazy("finished"),
    "failed": gettext_lazy("failed"),
    "deferred": gettext_lazy("deferred"),
    "scheduled": gettext_lazy("waits to be tried again"),
    "stopped": gettext_lazy("stopped"),
    "canceled": gettext_lazy("canceled"),
    "": gettext_lazy("forgotten by RQ"),
}
"""RQ's words for the state of a job; it keeps most of them for some time only."""


def outcome(run: Run) -> str:
    """The state of its job."""
    return str(OUTCOMES.get(run.status, run.status))
