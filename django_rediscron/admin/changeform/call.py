"""The call of a function: its parameters as inputs, over the JSON of its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...allowlist import allowed_function
from ...core.exceptions import InvalidScheduleError
from ...core.quoting import cut
from ...core.sensitive import MASK
from ..display import TEMPLATES
from ..form_fields.parameters import NOT_GIVEN, PREFIX, ParameterInput, error_list, inputs_of
from ..form_fields.widgets import JsonField

ARGS, KWARGS = JsonField(list), JsonField(dict)

LONGEST = 100_000
"""Characters of JSON: with inputs all is sent twice, and a request has a limit."""


class Row(NamedTuple):
    """A parameter as the page shows it."""

    input: ParameterInput
    text: str
    error: str

    @property
    def rendered(self) -> SafeString:
        return self.input.render(self.text, is_wrong=bool(self.error))

    @property
    def error_list(self) -> SafeString | str:
        return error_list(self.input.id, self.error) if self.error else ""


class Call:
    """A call of a function on the allow-list, with its arguments as the JSON boxes have them.

    Each parameter has an input, if the function takes these arguments. Otherwise there are none,
    and `reason` says why.
    """

    def __init__(self, name: str, args: str, kwargs: str) -> None:
        self.name = name
        self.function: Callable[..., Any] | None = None
        self.about = ""
        """What the function does, by the first line of its documentation."""
        self.args: list[Any] = []
        self.kwargs: dict[str, Any] = {}
        self.inputs: dict[str, ParameterInput] = {}
        self.has_inputs = False
        self.reason = ""
        self.is_changed = False
        """Whether `args` and `kwargs` are what was typed, and no longer the JSON."""
        self.errors: dict[str, str] = {}
        self.wrong: set[str] = set()
        """Those with errors for what was typed; in the others, something is missing."""
        self.texts: dict[str, str] = {}
        """What was typed, if it cannot become JSON."""
        if name:
            self._look_up(args, kwargs)

    def _look_up(self, args: str, kwargs: str) -> None:
        try:
            self.function = allowed_function(self.name)
        except InvalidScheduleError as error:
            self.reason = str(error)
            return
        with suppress(Exception):  # what is documented may be anything
            about = inspect.getdoc(self.function) or ""
            self.about = cut(about.strip().partition("\n")[0], 200)
        if len(args) + len(kwargs) > LONGEST:
            self.reason = _("The arguments are too long to be edited by parameter.")
            return
        try:
            self.args, self.kwargs = ARGS.clean(args), KWARGS.clean(kwargs)
            self.inputs = inputs_of(self.function, self.args, self.kwargs)
            self.has_inputs = True
        except ValidationError:
            self.reason = _("The arguments are not valid JSON.")
        except TypeError as error:
            text = _("There are no inputs for these arguments, because they do not fit: %s.")
            self.reason = text % cut(error)

    @classmethod
    def sent(cls, data: Mapping[str, Any]) -> Call | None:
        """What the inputs in a sent form make of the JSON in it; None if the JSON alone counts."""
        name = data.get("func_name", "")
        if not name or data.get("parameters") != name:
            return None
        call = cls(name, data.get("args", ""), data.get("kwargs", ""))
        if not call.has_inputs:
            return None
        call._read(data)
        return call

    def _read(self, data: Mapping[str, Any]) -> None:
        values, typed = {}, {}
        for name, each in self.inputs.items():
            text = data.get(f"{PREFIX}{name}")
            if text is not None and each.is_touched(text):
                typed[name] = text
            try:
                values[name] = each.read(text)
            except ValidationError as error:
                self.errors[name] = error.messages[0]
                values[name] = NOT_GIVEN
        self.wrong = self.errors.keys() & typed.keys()
        if typed and not self.wrong:
            self._compose(values)
        if self.wrong:
            self.texts = typed

    def _compose(self, values: Mapping[str, Any]) -> None:
        """Make the call of these values. What was given by position still is, if possible."""
        args, named = [], {}
        rest, named_rest = self._rest(values)
        gap = ""  # the first parameter after which none can be given by position
        for place, (name, each) in enumerate(self.inputs.items()):
            value = values[name]
            needs_place = each.needs_place or (each.has_place and bool(rest))
            has_place = place < len(self.args) or (needs_place and value != MASK)
            if each.is_rest:
                continue
            if value is not NOT_GIVEN and each.has_place and has_place and not gap:
                args.append(value)
                continue
            gap = gap or (name if each.has_place else "")
            if value is not NOT_GIVEN and not needs_place:
                named[name] = value
            elif value is not NOT_GIVEN or (needs_place and rest):
                self._refuse(gap, _("Enter a value: those after it are given by position."))
        named.update(named_rest)
        if not self.wrong:
            self.args = args + rest
            self.kwargs = {key: named[key] for key in self.kwargs if key in named} | named
            self.is_changed = True

    def _refuse(self, name: str, text: str) -> None:
        self.errors.setdefault(name, text)
        self.wrong.add(name)

    def _rest(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What `*args` and `**kwargs` take."""
        rest: dict[bool, Any] = {True: {}, False: []}
        for name, each in self.inputs.items():
            if each.is_rest and values[name] is not NOT_GIVEN:
                rest[each.parameter.kind is each.parameter.VAR_KEYWORD] = values[name]
                own = [key for key in values[name] if self._has_input(key)]
                if isinstance(values[name], dict) and own:
                    self._refuse(name, _("“%s” has an input of its own.") % own[0])
        return rest[False], rest[True]

    def _has_input(self, key: Any) -> bool:
        each = self.inputs.get(key) if isinstance(key, str) else None
        return each is not None and not each.is_rest and not each.needs_place

    @property
    def args_text(self) -> str:
        """The arguments as the JSON box shows them."""
        return str(ARGS.prepare_value(self.args))

    @property
    def kwargs_text(self) -> str:
        """The keyword arguments as the JSON box shows them."""
        return str(KWARGS.prepare_value(self.kwargs))

    # Showing

    @property
    def rows(self) -> Iterator[Row]:
        """Each parameter with its input."""
        for name, each in self.inputs.items():
            yield Row(each, self.texts.get(name, each.text), self.errors.get(name, ""))

    def render(self) -> SafeString:
        """The inputs, or why there are none."""
        return render_to_string(f"{TEMPLATES}/call.html", {"call": self})
