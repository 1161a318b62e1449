"""The types of what users call: `RedisCronJob` stands above the store, which makes it by name."""

from collections.abc import Container, Iterable
from typing import TypeVar, overload

from redis import Redis

from ..declared.tombstones import Tombstone
from ..job import RedisCronJob
from ..monitoring.leadership import Leadership
from . import listing
from .listing import ReindexReport as ReindexReport
from .listing import define_many as define_many
from .listing import reindex as reindex
from .reading import Damaged as Damaged

_Job = TypeVar("_Job", bound=RedisCronJob)

Listing = listing.Listing[RedisCronJob, Tombstone, Leadership]

def list_schedules(
    connection: Redis,
    *,
    enabled_only: bool = False,
    among: Container[str] | None = None,
    watch: listing.Watch = ...,
) -> Listing: ...
@overload
def fetch_many(
    ids: Iterable[str], connection: Redis, job_class: None = None
) -> dict[str, RedisCronJob | Damaged]: ...
@overload
def fetch_many(
    ids: Iterable[str], connection: Redis, job_class: type[_Job]
) -> dict[str, _Job | Damaged]: ...
