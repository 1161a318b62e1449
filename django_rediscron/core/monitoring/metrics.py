"""The metrics for a registry of prometheus_client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from redis import Redis
from redis.exceptions import RedisError

try:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector as BaseCollector
    from prometheus_client.samples import Sample
except ImportError as error:
    raise ImportError(
        "metrics in a registry of one's own need prometheus_client; install "
        "django-rediscron[metrics]"
    ) from error

from ..store.connections import check_client
from ..store.servers import Server
from .exposition import Family
from .measurements import (
    SCHEDULES,
    check_schedules,
    families,
    read_metrics,
    read_metrics_of_each,
)


class Collector(BaseCollector):
    """All metrics of the schedules in a Redis, read when they are collected.

    ```python
    REGISTRY.register(Collector(connection))
    ```

    `connection`: a client of the Redis; or several by the names of their servers, which become the
    label `server`. `schedules`: how many schedules there may be in each Redis for metrics to have
    the label `schedule`. If a Redis cannot be read, `rediscron_up` is 0, and its only sample.
    Raises TypeError or ValueError if given anything else.
    """

    def __init__(self, connection: Redis | Mapping[str, Redis], schedules: int = SCHEDULES) -> None:
        for client in connection.values() if isinstance(connection, Mapping) else [connection]:
            check_client(client)
        try:
            self._schedules = check_schedules(schedules)
        except ValueError as error:
            raise ValueError(f"schedules must be {error}") from None
        self._connection = connection

    def describe(self) -> Iterator[Metric]:
        """The metrics without samples; a registry asks for them when this is registered."""
        return map(_metric, families(up=False).values())

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        try:
            found = self._read()
        except (RedisError, OSError):
            found = list(families(up=False).values())
        return map(_metric, found)

    def _read(self) -> list[Family]:
        if not isinstance(self._connection, Mapping):
            return read_metrics(self._connection, self._schedules)
        servers = [Server(*each) for each in self._connection.items()]
        return read_metrics_of_each(servers, self._schedules)


def _metric(family: Family) -> Metric:
    metric = Metric(family.stem, family.help, family.kind, family.unit)
    metric.samples = [Sample(name, dict(labels), value) for name, labels, value in family.samples]
    return metric
