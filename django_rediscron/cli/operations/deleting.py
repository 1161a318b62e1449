"""`rqrcron delete`."""

from __future__ import annotations

from redis import Redis
from rq.exceptions import NoSuchJobError

from ...core.job import RedisCronJob
from ...core.store import Damaged
from ...core.store.saving import delete_schedules
from .many import Operation, operating


@operating("delete", asks=True)
def delete() -> Operation:
    """Delete schedules.

    Their jobs stay in their queues, and what is on record of them for a year: revert creates one
    again. More than one is confirmed first, or with --yes.
    """

    def do(job: RedisCronJob | Damaged, connection: Redis) -> str:
        if not delete_schedules([job.id], connection):
            raise NoSuchJobError("it was deleted meanwhile")
        return ""

    return Operation("deleted", do, takes_damaged=True)
