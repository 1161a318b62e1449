"""Classes that `RQ_QUEUES` names."""

from __future__ import annotations

from django_rq.queues import DjangoRQ
from rq.job import Job


class ReportQueue(DjangoRQ):
    """A project's own queue class."""


class ReportJob(Job):
    """A project's own job class."""
