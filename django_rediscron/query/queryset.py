"""Django's QuerySet, answered by Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.exceptions import FieldError
from django.db import NotSupportedError
from django.db.models import F, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql import Query
from django.db.models.sql.where import NothingNode
from redis import Redis

from ..conf import conf
from ..core.quoting import quoted
from ..core.store import search
from ..core.store.connections import own_client
from ..core.store.reading import Absent, read_schedules
from ..core.store.saving import delete_schedules
from ..core.store.search import Condition, NamesInUse, NamesMemory
from ..queues import get_connection, queue_config
from .conditions import NUMBERS, condition_of, split


def connection() -> Redis:
    """The client of the Redis that `REDISCRON["QUEUE"]` names, one for the whole process.

    It gives up after two seconds, for a page waits for it. Raises `UnknownQueueError`.
    """
    return _client(conf.QUEUE, repr(queue_config(conf.QUEUE)))


def names_in_use() -> NamesInUse:
    """Which queues and functions the schedules there name."""
    return _names_memory(connection()).read()


@lru_cache(maxsize=8)
def _names_memory(client: Redis) -> NamesMemory:
    return NamesMemory(client)


@lru_cache(maxsize=8)
def _client(queue: str, config: str) -> Redis:
    return own_client(get_connection(queue))


if TYPE_CHECKING:

    class _QuerySet(QuerySet[Any, Any]):
        """With what django-stubs leaves out."""

        _db: str | None
        _query: Query

        def _chain(self) -> Any: ...
        def _clone(self) -> Any: ...
        def _filter_or_exclude_inplace(self, negate: bool, args: Any, kwargs: Any) -> None: ...
else:
    _QuerySet = QuerySet


class LatestRun(F):
    """What to order by for the newest job of a schedule, as the list shows it, or else for its
    latest time: `order_by(LatestRun().desc())`."""

    def __init__(self) -> None:
        super().__init__("latest_enqueue_time")


class ScheduleQuerySet(_QuerySet):
    """Schedules, filtered and sorted by the fields of `Schedule`.

    Django builds the query as ever; instead of SQL, it becomes a search in Redis for ids, of which
    those that are asked for are read. Lookups are exact, in, contains, icontains, startswith, gt,
    gte, lt, lte and isnull, with `&`, `|` and `~`. What has no meaning here (joins, aggregates,
    update, ...) raises `NotSupportedError` or, in a filter, `FieldError`.
    """

    _condition: Condition | None = None
    _term: str = ""
    _found: dict[str, list[tuple[str, ...]]] | None = None

    # What else than fields to search for

    def matching(self, condition: Condition) -> ScheduleQuerySet:
        """Only those that meet a condition of `core.search`."""
        clone: ScheduleQuerySet = self._chain()
        mine = clone._condition
        clone._condition = condition if mine is None else search.every(mine, condition)
        return clone

    def cached(self) -> ScheduleQuerySet:
        """One whose clones share what they find, so that count and page are one search."""
        clone: ScheduleQuerySet = self._chain()
        clone._found = {}
        return clone

    # Reading

    def count(self) -> int:
        """How many there are."""
        if self._result_cache is not None:
            return len(self._result_cache)
        if self._db is not None:  # dumpdata asks what is in a database: nothing
            return 0
        return len(self._rows())

    def exists(self) -> bool:
        """Whether there is one."""
        return bool(self.count())

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        """Nothing: `dumpdata` reads this way, and schedules are not to be copied by fixtures."""
        return iter(())

    async def aiterator(self, chunk_size: int = 2000) -> Any:
        """Nothing, as `iterator`."""
        nothing: tuple[Any, ...] = ()
        for each in nothing:
            yield each

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete all of them; how many there were."""
        members = [each for row in self._rows() for each in search.member(row[0])]
        deleted = delete_schedules(members, connection())
        self._result_cache = None
        return deleted, {self.model._meta.label: deleted}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            if self._iterable_class is not ModelIterable:
                self._refuse("values and values_list")
            self._result_cache = list(self._read([row[0] for row in self._rows()]))

    def _read(self, ids: Sequence[str]) -> Iterator[Any]:
        client = connection()
        members = [each for id in ids for each in search.member(id)]
        for found, _ in read_schedules(members, client):
            if not isinstance(found, Absent):  # deleted meanwhile
                yield self.model.of(found)

    # Searching

    def _rows(self) -> list[tuple[str, ...]]:
        """Ids and what they are sorted by, in order, within the limits of a slice."""
        query = self.query
        rows = [] if self._is_empty() else self._sorted_rows()
        return rows[query.low_mark : query.high_mark]

    def _is_empty(self) -> bool:
        where = self.query.where
        return any(isinstance(child, NothingNode) for child in where.children)

    def _sorted_rows(self) -> list[tuple[str, ...]]:
        among, conditions = split(self.query.where)
        if self._condition is not None:
            conditions.append(self._condition)
        condition = search.every(*conditions) if conditions else None
        order = self._order()
        names = [name for name, _ in order if name != "id"]
        key = repr((among, condition, order))
        if self._found is not None and key in self._found:
            return self._found[key]
        rows = search.search(connection(), condition, values=names, among=among)
        for name, descending in reversed(order):
            place = 0 if name == "id" else 1 + names.index(name)
            rows.sort(key=_sort_key(name, place), reverse=descending)
            if place:  # nothing comes after everything, upwards and downwards
                rows.sort(key=lambda row, place=place: not row[place])  # type: ignore[misc]
        if self._found is not None:
            self._found[key] = rows
        return rows

    def _order(self) -> list[tuple[str, bool]]:
        """Fields and whether they descend; always the id at last, so that pages are stable."""
        query = self.query
        given: Iterable[Any] = query.order_by
        order = []
        for each in given:
            expression = getattr(each, "expression", None)
            if isinstance(expression, LatestRun):
                order.append(("latest_run", each.descending is query.standard_ordering))
                continue
            if not isinstance(each, str):
                self._refuse(f"ordering by {quoted(each)}")
            name = each.removeprefix("-")
            name = "id" if name == "pk" else self.model._meta.get_field(name).name
            order.append((name, each.startswith("-") is query.standard_ordering))
            if name == "id":
                break
        if not order or order[-1][0] != "id":
            order.append(("id", not query.standard_ordering))
        return order

    def _filter_or_exclude_inplace(self, negate: bool, args: Any, kwargs: Any) -> None:
        super()._filter_or_exclude_inplace(negate, args, kwargs)
        try:
            condition_of(self._query.where)
        except NotSupportedError as error:  # while the caller expects errors of this kind
            raise FieldError(str(error)) from None

    def _clone(self) -> ScheduleQuerySet:
        clone: ScheduleQuerySet = super()._clone()
        clone._condition = self._condition
        clone._found = self._found
        return clone

    # What has no meaning here

    def _refuse(self, what: str) -> NoReturn:
        raise NotSupportedError(f"schedules live in Redis: {what} is not supported")

    def update(self, **kwargs: Any) -> NoReturn:
        self._refuse("update (save each schedule)")

    def aggregate(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("aggregate")

    def annotate(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("annotate")

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("bulk_create (see define_many)")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("bulk_update (see define_many)")


def _sort_key(name: str, place: int) -> Callable[[tuple[str, ...]], Any]:
    if name in NUMBERS:
        return lambda row: int(row[place]) if row[place].isdecimal() and len(row[place]) < 20 else 0
    return itemgetter(place)
