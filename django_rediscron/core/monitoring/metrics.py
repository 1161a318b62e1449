"""The metrics for a registry of prometheus_client."""

from __future__ import annotations

from collections.abc import Iterator

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
from .exposition import Family
from .measurements import SCHEDULES, check_schedules, families, read_metrics


class Collector(BaseCollector):
    """All metrics of the schedules in a Redis, read when they are collected.

    ```python
    REGISTRY.register(Collector(connection))
    ```

    `connection`: a client of the Redis. `schedules`: how many schedules there may be for metrics to
    have the label `schedule`. If Redis cannot be read, `rediscron_up` is 0, and the only sample.
    Raises TypeError or ValueError if given anything else.
    """

    def __init__(self, connection: Redis, schedules: int = SCHEDULES) -> None:
        check_client(connection)
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
            found = read_metrics(self._connection, self._schedules)
        except (RedisError, OSError):
            found = list(families(up=False).values())
        return map(_metric, found)


def _metric(family: Family) -> Metric:
    metric = Metric(family.stem, family.help, family.kind, family.unit)
    metric.samples = [Sample(name, dict(labels), value) for name, labels, value in family.samples]
    return metric
