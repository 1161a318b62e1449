"""The WHERE of a query of Django's, as conditions of a search in Redis."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import NotSupportedError
from django.db.models.expressions import Col
from django.db.models.fields import Field
from django.db.models.sql.where import NothingNode, WhereNode

from ..core.quoting import quoted
from ..core.schedule.texts import number_text
from ..core.store import search
from ..core.store.search import Condition
from ..core.timing.cron_times import utc_text
from ..use_tz import aware

_COMPARED = ("contains", "startswith", "gt", "gte", "lt", "lte")

NUMBERS = ("interval",)
"""Fields that stand in the hash as decimal numbers."""


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


def split(where: Any) -> tuple[list[str] | None, list[Condition]]:
    """The only ids that may meet a WHERE, if it names them, and the rest of its conditions."""
    if where.connector != "AND" or where.negated:
        return None, [condition_of(where)]
    ids: list[str] | None = None
    conditions: list[Condition] = []
    for child in where.children:
        named: list[str] | None = None
        if isinstance(child, WhereNode):
            named, further = split(child)
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
        return search.one_of(field.name, [_text(field, each) for each in right])
    if name == "exact":
        return search.one_of(field.name, [_text(field, right)])
    if name == "icontains":
        return search.like(field.name, str(right))
    if name in _COMPARED and field.name not in NUMBERS:
        return search.compare(field.name, name, _text(field, right))
    raise NotSupportedError(f"schedules cannot be searched by {field.name}__{name}")


def _names_ids(lookup: Any) -> bool:
    left = getattr(lookup, "lhs", None)
    return (
        isinstance(left, Col)
        and bool(left.target.primary_key)
        and lookup.lookup_name in ("exact", "in")
    )


def _text(field: Field[Any, Any], value: Any) -> str:
    """A value as it stands in the hash."""
    if isinstance(value, datetime):
        return utc_text(aware(value))
    if isinstance(value, bool):
        return str(int(value))
    if value is None or isinstance(value, int):
        return number_text(value)
    return str(value)
