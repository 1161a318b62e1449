"""Where marks lead to."""

from __future__ import annotations

from typing import Any

from ...conf import local
from ...core.lanes.marks import STATUSES, Mark
from ...core.lanes.plans import Plan
from ..display import job_url, page_url


class Links:
    """The addresses of schedules and of what happened to them."""

    def __init__(self, model_admin: Any) -> None:
        self._admin = model_admin
        self._schedules: dict[str, str] = {}

    def schedule(self, id: str) -> str:
        """Its page."""
        if id not in self._schedules:
            self._schedules[id] = page_url(self._admin, "change", id)
        return self._schedules[id]

    def mark(self, mark: Mark, plan: Plan) -> str:
        """The RQ job of a run, the day of several, why something was skipped; of what is to come,
        the page of its schedule."""
        url = self.schedule(plan.id)
        if mark.run is not None:
            found = job_url(mark.run.queue_name or plan.queue_name, mark.run.job_id)
            if found:
                return found
        here = local(mark.first)
        if mark.kind in ("skip", "error"):
            return f"{url}?why={here:%Y-%m-%dT%H:%M:%S}#rediscron-why"
        if mark.kind in STATUSES:
            return f"{url}?day={here:%Y-%m-%d}#rediscron-story"
        return url
