"""`rqrcron run`: one job of each schedule, now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis import Redis

from ...core.job import RedisCronJob
from .many import Operation, Result, operating


def _facts(result: Result) -> Mapping[str, Any]:
    return {} if result.failed else {"job_id": result.note}


@operating("run", asks=True, facts=_facts, more="; also job_id")
def run() -> Operation:
    """Enqueue one job of each schedule now.

    Their times are not affected, and it does not matter whether they are enabled. More than one is
    confirmed first, or with --yes.
    """

    def do(job: RedisCronJob, connection: Redis) -> str:
        return job.enqueue(connection).id

    return Operation("enqueued", do, takes_locked=True)
