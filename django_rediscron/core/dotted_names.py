"""Functions by their dotted names: which ones a worker can import."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from rq.utils import import_attribute

from .exceptions import InvalidScheduleError
from .quoting import cut, quoted

LONGEST_NAME = 255
"""Characters of a dotted name: looking up one with many parts takes long."""


def function_name(func: Callable[..., Any] | None, what: str = "func") -> str:
    """The dotted name by which a worker finds this very function; `what` it is, for errors."""
    if inspect.ismethod(func) and not isinstance(func.__self__, type):
        raise InvalidScheduleError(
            f"{what} must not be the method of an instance, got {quoted(func)}: a worker has no "
            f"such instance; use a function at the top of a module"
        )
    module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise InvalidScheduleError(
            f"{what} must be a function that a worker can import by name, got {quoted(func)}; "
            f"define a function at the top of a module and register that"
        )
    dotted = f"{module}.{name}"
    if module == "__main__" or "<" in dotted:
        raise InvalidScheduleError(
            f"{what} must be importable by a worker, got {dotted}; "
            f"move it to the top of a module that the workers have"
        )
    if getattr(sys.modules.get(module), name, None) is func:
        return dotted  # as nearly always
    found = _import(dotted, what)
    # Each access to a class method makes a new object, equal to the others.
    if found is not func and not (inspect.ismethod(func) and found == func):
        raise InvalidScheduleError(
            f"{what} must be what its dotted name {dotted} leads to, got {quoted(func)}; "
            f"move it to the top of a module"
        )
    return dotted


def resolve_function(name: str, what: str = "func_name") -> Callable[..., Any]:
    """The function of a dotted name. Imports user code; an attempt to exit is caught."""
    found = _import(name, what)
    if not callable(found):
        raise InvalidScheduleError(
            f"{what} must lead to a function, got {quoted(name)}: {quoted(found)}"
        )
    return cast("Callable[..., Any]", found)


def is_dotted_name(name: object) -> bool:
    """Whether it could be the name of something in a module that workers have."""
    return (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and all(part.isidentifier() for part in name.split("."))
        and "." in name
        and not name.startswith("__main__.")
    )


def _import(dotted: str, what: str) -> Any:
    if not isinstance(dotted, str) or "." not in dotted or dotted.startswith("__main__."):
        raise InvalidScheduleError(
            f"{what} must be a dotted name such as 'reports.tasks.build', got {quoted(dotted)}"
        )
    if len(dotted) > LONGEST_NAME:
        raise InvalidScheduleError(
            f"{what} must have at most {LONGEST_NAME} characters, got {quoted(dotted)}"
        )
    module, _, name = dotted.rpartition(".")
    loaded = sys.modules.get(module)
    if isinstance(loaded, ModuleType) and loaded.__dict__.get(name) is not None:
        return loaded.__dict__[name]  # the same as RQ's import, ten times as fast
    try:
        return import_attribute(dotted)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise anything, and even exit
        reason = f"{type(error).__name__}: {cut(error)}"
        if isinstance(error, ValueError):  # RQ's own
            reason = _why_not(dotted) or reason
        raise InvalidScheduleError(
            f"{'function' if what == 'func_name' else what} {quoted(dotted)} cannot be imported: "
            f"{reason}"
        ) from error


def _why_not(dotted: str) -> str:
    """Which module of a name does not exist or cannot be imported, or what it lacks; "" for others.

    RQ has the same message for all of them.
    """
    *modules, attribute = dotted.split(".")
    for number, last in enumerate(modules):
        parent = ".".join(modules[:number])
        name = f"{parent}.{last}".lstrip(".")
        if name in sys.modules:
            continue
        if hasattr(sys.modules.get(parent), last):  # a class, for instance
            return _what_lacks(sys.modules[parent], [*modules[number:], attribute])
        try:
            if importlib.util.find_spec(name) is None:
                return f"no module {quoted(name)}; check the name, and that it is installed here"
        except Exception:  # the parent is no package, or cannot be imported
            return ""
    try:
        importlib.import_module(".".join(modules))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"{type(error).__name__}: {cut(error)}"
    return f"module {quoted('.'.join(modules))} has no {quoted(attribute)}; check the name"


def _what_lacks(module: ModuleType, names: list[str]) -> str:
    """Which of these attributes of attributes does not exist; "" for none."""
    found: Any = module
    path = module.__name__
    for name in names:
        if not hasattr(found, name):
            return f"{quoted(path)} has no {quoted(name)}; check the name"
        found, path = getattr(found, name), f"{path}.{name}"
    return ""
