"""One of its modules."""

from __future__ import annotations

from rq.decorators import job

from tests.app.queues import ReportQueue


@job(ReportQueue.__name__, connection=None)
def back_up() -> None:
    """Back up everything."""
