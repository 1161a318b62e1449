"""Which kind of value a parameter takes, by its annotation or its default."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy

from ...core.plain import plain
from .kinds import Choice, Json, Kind, Number, Text, Whole, Written

SCALARS = (str, int, float, bool, type(None))


def kind_of(function: Callable[..., Any], parameter: inspect.Parameter) -> Kind:
    """What a parameter takes, by its annotation or else by its default; any JSON if these do not
    say so, or if the annotation leads nowhere."""
    if parameter.annotation is parameter.empty:
        return _kind_by_default(plain(parameter.default)) or Json()
    try:
        return _kind(_resolved(function, parameter.annotation)) or Json()
    except Exception:  # annotations are evaluated, and classes may do anything
        return Json()


def _kind_by_default(default: Any) -> Kind | None:
    if type(default) is int:  # perhaps a number of seconds
        return Number(keeps_whole=True)
    return _kind(type(default)) if type(default) in (bool, float, str) else None


def _resolved(function: Callable[..., Any], annotation: Any) -> Any:
    """The type that an annotation, perhaps a text, stands for."""

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return typing.get_type_hints(holder, names)["it"]


def _kind(hint: Any) -> Kind | None:
    while hasattr(hint, "__supertype__"):  # NewType
        hint = hint.__supertype__
    if get_origin(hint) in (Union, types.UnionType):
        return _of_union(get_args(hint))
    if get_origin(hint) is Literal:
        return _choice((plain(_value(each)), _label(each)) for each in get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = [(plain(_value(each)), _label(each)) for each in hint]
        return _choice(members, gettext_lazy("The function gets the value, not the member."))
    make = _BY_TYPE.get(hint)
    return make() if make else None


def _of_union(members: tuple[Any, ...]) -> Kind | None:
    """`X | None`, or int | float."""
    others = [each for each in members if each is not type(None)]
    if len(others) == 1:
        found = _kind(others[0])
    else:
        found = Number(keeps_whole=True) if {*others} == {int, float} else None
    if found is None or type(None) not in members:
        return found
    if isinstance(found, Choice):
        return found.with_null()
    found.nullable = True
    return found


def _choice(options: Iterable[tuple[Any, Any]], hint: Any = "") -> Kind | None:
    found = [*options]
    return Choice(found, hint) if all(type(value) in SCALARS for value, _ in found) else None


def _value(member: Any) -> Any:
    return member.value if isinstance(member, Enum) else member


def _label(member: Any) -> Any:
    """What is shown of it; Django's choices have a label."""
    if not isinstance(member, Enum):
        return member if isinstance(member, str) else json.dumps(member, default=str)
    label = getattr(member, "label", None) or member.name
    return label if label == member.value else f"{label} ({member.value})"


# What JSON has no type for, as a text


def _date(text: str) -> str | None:
    found = parse_date(text)
    return None if found is None else found.isoformat()


def _moment(text: str) -> str | None:
    found = parse_datetime(text)
    return None if found is None else found.isoformat()


def _decimal(text: str) -> str | None:
    found = Decimal(text)
    return str(found) if found.is_finite() else None


_YES_NO = [(True, gettext_lazy("yes")), (False, gettext_lazy("no"))]
_BY_TYPE: dict[Any, Callable[[], Kind]] = {
    bool: lambda: Choice(_YES_NO),
    int: Whole,
    float: Number,
    str: Text,
    date: lambda: Written(
        gettext_lazy("A date such as 2026-12-24; passed as a text."),
        gettext_lazy("Enter a valid date."),
        _date,
    ),
    datetime: lambda: Written(
        gettext_lazy("A time such as 2026-12-24T18:00+01:00; passed as a text."),
        gettext_lazy("Enter a valid date/time."),
        _moment,
    ),
    Decimal: lambda: Written(
        gettext_lazy("A decimal number; passed as a text."),
        gettext_lazy("Enter a number."),
        _decimal,
    ),
}
