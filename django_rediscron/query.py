"""Django's QuerySet, answered by Redis: the part that the admin uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.exceptions import FieldError
from django.db import NotSupportedError
from django.db.models import F, QuerySet
from django.db.models.expressions import Col
from django.db.models.query import ModelIterable
from django.db.models.sql import Query
from django.db.models.sql.where import NothingNode, WhereNode

from .conf import aware
from .core.quoting import quoted
from .core.schedule.texts import number_text
from .core.store import search
from .core.store.reading import Absent, read_schedules
from .core.store.saving import delete_schedules
from .core.store.search import Condition
from .core.timing.cron_times import utc_text
from .queues import main_connection

_COMPARED = ("contains", "startswith", "gt", "gte", "lt", "lte")

NUMBERS = ("interval",)
"""Fields that stand in the hash as decimal numbers."""


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
        deleted = delete_schedules(members, main_connection())
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
        client = main_connection()
        members = [each for id in ids for each in search.member(id)]
        for found, _ in read_schedules(members, client):
            if not isinstance(found, Absent):  # deleted meanwhile
                yield self.model.of(found)

    def texts(self, *names: str) -> list[tuple[str, ...]]:
        """The id of each and the texts of these fields of its hash, unsorted: for thousands."""
        if self._is_empty():
            return []
        among, condition = self._sought()
        return search.search(main_connection(), condition, values=names, among=among)

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
        among, condition = self._sought()
        order = self._order()
        names = [name for name, _ in order if name != "id"]
        key = repr((among, condition, order))
        if self._found is not None and key in self._found:
            return self._found[key]
        rows = search.search(main_connection(), condition, values=names, among=among)
        for name, descending in reversed(order):
            place = 0 if name == "id" else 1 + names.index(name)
            rows.sort(key=_sort_key(name, place), reverse=descending)
            if place:  # nothing comes after everything, upwards and downwards
                rows.sort(key=lambda row, place=place: not row[place])  # type: ignore[misc]
        if self._found is not None:
            self._found[key] = rows
        return rows

    def _sought(self) -> tuple[list[str] | None, Condition | None]:
        """The only ids to look at, if it names them, and the condition."""
        among, conditions = _split(self.query.where)
        if self._condition is not None:
            conditions.append(self._condition)
        return among, search.every(*conditions) if conditions else None

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


def condition_of(where: Any) -> Condition:
    """A WHERE of Django's query as a condition of a search."""
    if isinstance(where, NothingNode):
        return search.either()
    if isinstance(where, WhereNode):
        if where.connector not in ("AND", "OR"):
            raise NotSupportedError(f"schedules cannot be searched with {where.connector}")
        children = [condition_of(child) for child in where.children]
        return {"connector": where.connector, "negated": where.negated, "children": children}
    return _leaf(where)


def _split(where: Any) -> tuple[list[str] | None, list[Condition]]:
    """The only ids that may meet a WHERE, if it names them, and the rest of its conditions."""
    if where.connector != "AND" or where.negated:
        return None, [condition_of(where)]
    ids: list[str] | None = None
    conditions: list[Condition] = []
    for child in where.children:
        named: list[str] | None = None
        if isinstance(child, WhereNode):
            named, further = _split(child)
            conditions += further
        elif _names_ids(child):
            right: Any = child.rhs
            named = [str(each) for each in (right if child.lookup_name == "in" else [right])]
        else:
            conditions.append(condition_of(child))
        if named is not None:
            ids = named if ids is None else [id for id in ids if id in set(named)]
    return ids, conditions


def _leaf(lookup: Any) -> Condition:
    parts: list[Any] = [getattr(lookup, part, None) for part in ("lhs", "lookup_name", "rhs")]
    left, name, right = parts
    if not isinstance(left, Col) or hasattr(right, "resolve_expression"):
        raise NotSupportedError(f"schedules cannot be searched by {quoted(lookup)}")
    field = left.target
    if name == "isnull":
        empty = search.one_of(field.name, [""])
        return empty if right else search.negate(empty)
    if name == "in" and not isinstance(right, (str, bytes)):
        return search.one_of(field.name, [_text(each) for each in right])
    if name == "exact":
        return search.one_of(field.name, [_text(right)])
    if name == "icontains":
        return search.like(field.name, str(right))
    if name in _COMPARED and field.name not in NUMBERS:
        return search.compare(field.name, name, _text(right))
    raise NotSupportedError(f"schedules cannot be searched by {field.name}__{name}")


def _names_ids(lookup: Any) -> bool:
    left = getattr(lookup, "lhs", None)
    return (
        isinstance(left, Col)
        and bool(left.target.primary_key)
        and lookup.lookup_name in ("exact", "in")
    )


def _text(value: Any) -> str:
    """A value as it stands in the hash."""
    if isinstance(value, datetime):
        return utc_text(aware(value))
    if isinstance(value, bool):
        return str(int(value))
    if value is None or isinstance(value, int):
        return number_text(value)
    return str(value)
