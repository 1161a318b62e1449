"""Classes that `RQ_QUEUES` names."""

from __future__ import annotations

from typing import Any

from django_rq.queues import DjangoRQ
from rq import Queue
from rq.job import Job


class ReportQueue(DjangoRQ):
    """A project's own queue class."""


class ReportJob(Job):
    """A project's own job class."""


class TaggingQueue(Queue):
    """Notes in the job's meta who enqueued it, and counts."""

    def enqueue_job(self, job: Job, pipeline: Any = None, **options: Any) -> Job:
        """RQ's own, with more in the job."""
        job.meta["tag"] = f"tagged in {self.name}"
        if pipeline is not None:
            pipeline.incr("tagged")
        return super().enqueue_job(job, pipeline=pipeline, **options)


class CallingQueue(Queue):
    """Changes what callers of `enqueue` ask for."""

    def enqueue_call(self, *args: Any, **options: Any) -> Job:
        """RQ's own, with more in the job."""
        return super().enqueue_call(*args, **{**options, "meta": {"tag": "called"}})


class PersistentJob(Job):
    """Notes in its hash how it was saved."""

    def to_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        """RQ's own, with more in it."""
        return {**super().to_dict(*args, **options), "tag": f"saved {self.id}"}


class DirectQueue(Queue):
    """Writes by itself, whatever it is given."""

    def enqueue_job(self, job: Job, pipeline: Any = None, **options: Any) -> Job:
        """RQ's own, at once."""
        return super().enqueue_job(job, **options)


class PushingQueue(Queue):
    """Pushes by itself, whatever it is given."""

    def push_job_id(self, job_id: str, pipeline: Any = None, at_front: bool = False) -> None:
        """RQ's own, at once."""
        super().push_job_id(job_id, at_front=at_front)


class OldQueue(Queue):
    """Does not know of pipelines."""

    def enqueue_job(self, job: Job, at_front: bool = False) -> Job:  # type: ignore[override]
        """RQ's own, without a pipeline."""
        return super().enqueue_job(job, at_front=at_front)


class IdleQueue(Queue):
    """Enqueues nothing."""

    def enqueue_job(self, job: Job, pipeline: Any = None, **options: Any) -> Job:
        """Only return it."""
        return job
