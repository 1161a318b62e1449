"""The functions that people may name in the admin: an allow-list.

Whoever may name any function may run any code: `os.system` is a function too. So a name is taken
only if the project's code vouches for it: it declares a schedule of it, decorates it with RQ's or
django-rq's `@job`, or names it in `REDISCRON["ALLOWED_FUNCTIONS"]`. No module is imported because
somebody typed its name.
"""

from __future__ import annotations

import inspect
import logging
import pkgutil
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from django.apps import apps

from .conf import conf
from .core.dotted_names import resolve_function
from .core.exceptions import InvalidScheduleError
from .core.quoting import cut, quoted
from .core.schedule.rq_options import CALLBACKS
from .core.sensitive import MASK, is_sensitive
from .sync.declarations import all_declarations

if sys.version_info >= (3, 14):
    from annotationlib import Format

    _UNEVALUATED: dict[str, Any] = {"annotation_format": Format.FORWARDREF}
else:
    _UNEVALUATED: dict[str, Any] = {}

logger = logging.getLogger(__name__)

JOB_MODULES = ("tasks", "jobs")
"""Modules of an application in which functions that `@job` decorates are looked for, packages with
all that is in them. They are imported for that, so that every process knows the same ones."""


class FunctionNotAllowedError(InvalidScheduleError):
    """The allow-list does not name this function."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"function {quoted(name)} may not be chosen here; declare a schedule of it in code, "
            f"decorate it with django-rq's @job in a module tasks or jobs, or name it in "
            f'REDISCRON["ALLOWED_FUNCTIONS"]'
        )


def allowed_functions() -> list[str]:
    """Dotted names to choose from, sorted."""
    exact, patterns = _settings()
    names = {*exact, *_declared_names(), *_decorated_names()}
    for pattern in patterns:
        names.update(_names_of(pattern))
    return sorted(names)


def is_allowed(name: str) -> bool:
    """Whether the allow-list names this function."""
    exact, patterns = _settings()
    if name in exact or name in _declared_names() or name in _decorated_names():
        return True
    # Only what a pattern names is imported, to see whether it is the function of that name.
    return any(matches(pattern, name) for pattern in patterns) and _is_home(name)


def allowed_function(name: str) -> Callable[..., Any]:
    """The function of that name. Raises `FunctionNotAllowedError`, and `InvalidScheduleError` where
    it is allowed but cannot be imported."""
    if not is_allowed(name):
        raise FunctionNotAllowedError(name)
    return resolve_function(name)


def check_call(func: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
    """Raise `InvalidScheduleError` if a call with these arguments would not even begin."""
    signature = signature_of(func)
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        called = f"{getattr(func, '__name__', 'function')}{_shown(signature)}"
        raise InvalidScheduleError(f"{cut(error)}; it is called as {cut(called)}") from None


def signature_of(func: Callable[..., Any]) -> inspect.Signature | None:
    """Its signature, without evaluating annotations; None for what has none, such as some functions
    that are written in C."""
    try:
        return inspect.signature(func, **_UNEVALUATED)
    except Exception:  # what looks like a function may be anything
        return None


def _shown(signature: inspect.Signature) -> inspect.Signature:
    """The same without the defaults of sensitive arguments."""
    parameters = [
        each.replace(default=MASK)
        if each.default is not each.empty and is_sensitive(each.name)
        else each
        for each in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def matches(pattern: str, name: str) -> bool:
    """`*` stands for any text in one part of the name that does not begin with an underscore."""
    wanted, parts = pattern.split("."), name.split(".")
    if len(wanted) != len(parts) or not all(part.isidentifier() for part in parts):
        return False
    return all(
        fnmatchcase(part, want) and part[0] != "_" if "*" in want else part == want
        for want, part in zip(wanted, parts, strict=True)
    )


def _settings() -> tuple[set[str], list[str]]:
    """The setting's plain names, and its patterns."""
    given = conf.ALLOWED_FUNCTIONS
    return {each for each in given if "*" not in each}, [each for each in given if "*" in each]


def _declared_names() -> set[str]:
    names: set[str] = set()
    for each in all_declarations()[0]:
        names.add(each.job.func_name)
        for option in CALLBACKS:
            callback = each.job.job_options.get(option)
            if callback:
                names.add(callback.partition(" ")[0])  # behind it may stand its time-out
    return names


def _decorated_names() -> frozenset[str]:
    return _find_decorated(tuple(config.name for config in apps.get_app_configs()))


@cache
def _find_decorated(applications: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        name
        for application in applications
        for module in _job_modules(application)
        for name, member in _own_members(module)
        if _is_decorated(member)
    )


def _job_modules(application: str) -> Iterator[ModuleType]:
    for name in JOB_MODULES:
        dotted = f"{application}.{name}"
        module = _import(dotted) if _is_module(dotted) else None
        if module is None:
            continue
        yield module
        for found in pkgutil.walk_packages(
            getattr(module, "__path__", ()), f"{dotted}.", onerror=lambda _: None
        ):
            inner = _import(found.name)
            if inner is not None:
                yield inner


def _import(dotted: str) -> ModuleType | None:
    """The module; None for one that fails, which is no reason to show no form."""
    try:
        return import_module(dotted)
    except Exception as error:
        logger.warning(
            "No function of module %r can be chosen, because its import fails: %s: %s",
            dotted,
            type(error).__name__,
            error,
        )
        return None


def _own_members(holder: ModuleType | type) -> Iterator[tuple[str, Any]]:
    """What is defined right there, with dotted names, and not what was imported into it."""
    prefix = holder.__name__
    if isinstance(holder, type):
        prefix = f"{holder.__module__}.{holder.__qualname__}"
    for attribute in list(vars(holder)):
        member = getattr(holder, attribute, None)
        name = f"{prefix}.{attribute}"
        if callable(member) and _dotted_name(member) == name:
            yield name, member


def _dotted_name(member: object) -> str:
    try:
        module, name = getattr(member, "__module__", None), getattr(member, "__qualname__", None)
    except Exception:  # a proxy of something that is not there yet
        return ""
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""


def _is_decorated(member: object) -> bool:
    """RQ's decorator gives the function itself a function `delay` that wraps it."""
    delay = getattr(member, "delay", None)
    return (
        inspect.isfunction(member)
        and inspect.isfunction(delay)
        and getattr(delay, "__wrapped__", None) is member
        and delay.__globals__.get("__name__") == "rq.decorators"
    )


def _is_home(name: str) -> bool:
    """Whether the function is defined under this name.

    A pattern for `reports.tasks` is not meant for what that module imports, such as
    `reports.tasks.os.system`.
    """
    try:
        found = resolve_function(name)
    except InvalidScheduleError:
        return False
    return _is_function(found) and _dotted_name(found) == name


def _is_function(member: object) -> bool:
    return callable(member) and not inspect.isclass(member)


def _names_of(pattern: str) -> Iterator[str]:
    """The functions that a pattern with `*` allows, as far as they can be listed.

    A `*` that stands for modules is looked up among those that are imported already.
    """
    home = pattern.rpartition(".")[0]
    holders: list[ModuleType | type] = []
    if "*" not in home:
        holder = _holder(home)
        holders = [] if holder is None else [holder]
    else:
        holders = [sys.modules[name] for name in list(sys.modules) if matches(home, name)]
    for holder in holders:
        for name, member in _own_members(holder):
            if matches(pattern, name) and _is_function(member):
                yield name


def _holder(dotted: str) -> ModuleType | type | None:
    """The module or class of that name, which the settings vouch for."""
    if _is_module(dotted):
        return _import(dotted)
    parent, _, last = dotted.rpartition(".")
    found = getattr(_holder(parent), last, None) if parent else None
    return found if isinstance(found, type) else None


def _is_module(dotted: str) -> bool:
    try:
        return find_spec(dotted) is not None
    except Exception:  # its parent is no package, or is missing, or fails
        return False
