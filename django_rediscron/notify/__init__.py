"""Receivers of alarms in a Django project: those in `REDISCRON["NOTIFY"]`, and the signals."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from ..conf import conf
from ..core.notifying.receivers import Receiver, of_function
from ..core.quoting import cut, quoted
from ..signals import signals_receiver
from ..terminal import one_line
from . import heartbeat

logger = logging.getLogger(__name__)

EXAMPLE = 'For instance ["django_rediscron.notify.mail", ("shop.alarms.Chat", {"room": "ops"})].'

Options = dict[str, Any] | None
"""None if a name stands alone."""


class Fault(NamedTuple):
    """What is wrong with the setting, and what to do about it."""

    text: str
    remedy: str


class Loaded(NamedTuple):
    """The receivers that work, and what is wrong with the setting."""

    receivers: list[Receiver]
    faults: list[Fault]


class _FaultError(Exception):
    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.fault = Fault(f'REDISCRON["NOTIFY"] {text}.', remedy)


def receivers() -> list[Receiver]:
    """All that work. Mistakes in the setting are logged, and the others are told all the same."""
    loaded = load_receivers()
    for fault in loaded.faults:
        logger.error("%s %s", fault.text, fault.remedy)
    return loaded.receivers


def load_receivers() -> Loaded:
    """Import and make all receivers."""
    found = {receiver.name: receiver for receiver in _unnamed()}
    faults: list[Fault] = []
    for entry in _listed(faults):
        try:
            receiver = _receiver(*_name_and_options(entry))
            if receiver.name in found:
                raise _FaultError(
                    f"has two receivers of the name {quoted(receiver.name)}",
                    "Remove one, or rename it; receivers of this package have an option 'name'.",
                )
            found[receiver.name] = receiver
        except _FaultError as error:
            faults.append(error.fault)
    return Loaded([_without_connections(receiver) for receiver in found.values()], faults)


def _unnamed() -> Iterator[Receiver]:
    """Those that are in no entry of `NOTIFY`."""
    signals = signals_receiver()
    if signals is not None:
        yield signals
    with suppress(ValueError):  # the system checks speak of it
        if conf.HEARTBEAT_URL:
            yield heartbeat.make(conf.HEARTBEAT_URL, late_after=conf.LATE_AFTER)


def _listed(faults: list[Fault]) -> Sequence[object]:
    given = conf.NOTIFY
    if isinstance(given, (list, tuple)):
        return given
    faults.append(_FaultError(f"should be a list, got {_shown(given)}", EXAMPLE).fault)
    return ()


def _name_and_options(entry: object) -> tuple[str, Options]:
    name, options, is_pair = entry, None, isinstance(entry, (list, tuple)) and len(entry) == 2
    if is_pair:
        name, options = entry  # type: ignore[misc]
    if not isinstance(name, str) or not name or (is_pair and not isinstance(options, dict)):
        raise _FaultError(
            f"should contain dotted names, or pairs of a dotted name and a dictionary of options, "
            f"but it contains {_shown(entry)}",
            EXAMPLE,
        )
    return name, options


def _shown(value: object) -> str:
    """What may be shown of a mistake: names, but no options, for they may hold secrets."""
    begin = value[:1] if isinstance(value, (list, tuple)) else value
    only = begin[0] if isinstance(begin, (list, tuple)) and begin else begin
    is_harmless = only is None or isinstance(only, (str, int, float)) or not only
    return quoted(begin) if is_harmless else f"a {type(value).__name__}"


def _receiver(name: str, options: Options) -> Receiver:
    named = _import(name)
    if isinstance(named, Receiver) and options is None:
        return named
    if isinstance(named, ModuleType):
        make = getattr(named, "make", None)
        remedy = "Name a function in it, or define make(**options) there to return a Receiver."
    else:
        make, remedy = named, "Name a function, a class, or a module with a function make."
    if not callable(make):
        what = "a module without a function make" if make is None else quoted(make)
        raise _FaultError(f"contains {quoted(name)}, which is {what}", remedy)
    is_factory = isinstance(named, (ModuleType, type)) or options is not None
    made = _make(name, make, options or {}) if is_factory else make
    if isinstance(made, Receiver):
        return made
    if not callable(made):
        raise _FaultError(
            f"contains {quoted(name)}, which returned {quoted(made)}",
            "It must return a Receiver, or a function of one Notification.",
        )
    try:
        return of_function(made, name)
    except TypeError as error:
        remedy = "Name a plain function, which may call asyncio.run."
        text = f"contains {quoted(name)}, which cannot be used: {error}"
        raise _FaultError(text, remedy) from error


def _import(name: str) -> Any:
    """The module of that name, or what is in one."""
    try:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name or "." not in name:
                raise
        return import_string(name)
    except (Exception, SystemExit) as error:
        raise _FaultError(
            f"contains {quoted(name)}, which cannot be imported: "
            f"{type(error).__name__}: {one_line(cut(error))}",
            "Correct the name, or what its import needs, or remove it.",
        ) from error


def _make(name: str, make: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        parameters = inspect.signature(make)
        parameters.bind(**options)
    except ValueError:  # written in C, without one
        pass
    except TypeError as error:
        takes = ", ".join(parameters.parameters) or "none"
        raise _FaultError(
            f"has wrong options for {quoted(name)}: {one_line(cut(error))}",
            f"Its options are: {takes}.",
        ) from error
    try:
        return make(**options)
    except (Exception, SystemExit) as error:
        reason = one_line(cut(error))
        if not isinstance(error, (ValueError, ImproperlyConfigured)):
            reason = f"{type(error).__name__}: {reason}"
        raise _FaultError(
            f"contains {quoted(name)}, which cannot be used: {reason}",
            "Correct its options, or remove it.",
        ) from error


def _without_connections(receiver: Receiver) -> Receiver:
    """The receiver, which leaves no connection to a database open in the threads that it runs in.

    Requests close those of their threads; nothing else would close these.
    """

    def closing(work: Callable[..., Any]) -> Callable[..., Any]:
        def do(*args: Any) -> Any:
            try:
                return work(*args)
            finally:
                for connection in connections.all(initialized_only=True):
                    if not connection.in_atomic_block:  # of a test that calls it by itself
                        connection.close()

        return do

    tend = None if receiver.tend is None else closing(receiver.tend)
    return replace(receiver, tell=closing(receiver.tell), tend=tend)
