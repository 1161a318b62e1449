"""The parameters of a function as inputs of a form, by its signature and annotations."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...allowlist import signature_of
from ...core.plain import plain
from ...core.quoting import LONGEST, cut, quoted
from ...core.sensitive import MASK, is_sensitive
from .annotations import kind_of
from .kinds import ANY_JSON, Choice, Kind, rest_kind

NOT_GIVEN: Any = object()
"""The value of a parameter that a call leaves out."""

PREFIX = "param-"
"""Before the name of a parameter: the name of its input."""


class ParameterInput:
    """The input for a parameter. What it shows is never written again, unless it is changed."""

    def __init__(self, parameter: inspect.Parameter, kind: Kind, value: Any = NOT_GIVEN) -> None:
        self.parameter = parameter
        self.value = value
        self.has_default = parameter.default is not parameter.empty
        self.is_rest = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        self.needs_place = parameter.kind is parameter.POSITIONAL_ONLY
        self.has_place = self.needs_place or parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        self.kind = kind if self._shown_by(kind) is not None else ANY_JSON
        self.text = self._shown_by(self.kind) or ""
        """What it shows; an empty text leaves the parameter out."""

    def _shown_by(self, kind: Kind) -> str | None:
        if self.value is NOT_GIVEN:
            return ""
        if self.value == MASK:
            return MASK
        if self.value is None and kind.nullable and not isinstance(kind, Choice):
            has_other = self.has_default and self.parameter.default is not None
            return None if has_other else ""
        return kind.show(self.value)

    @property
    def label(self) -> str:
        """The parameter as it is written in the function, with the stars of `*args`."""
        stars: dict[Any, str] = {
            self.parameter.VAR_POSITIONAL: "*",
            self.parameter.VAR_KEYWORD: "**",
        }
        return stars.get(self.parameter.kind, "") + self.parameter.name

    @property
    def is_required(self) -> bool:
        """Whether an empty input is an error."""
        return not (self.has_default or self.is_rest or self._is_empty_null)

    @property
    def _is_empty_null(self) -> bool:
        return self.kind.nullable and not self.has_default and not isinstance(self.kind, Choice)

    def is_touched(self, text: str | None) -> bool:
        """Whether this is another text than what was shown; None was not sent."""
        return text is not None and _unix(text) != self.text

    def read(self, text: str | None) -> Any:
        """The value, in the types of JSON, that this text stands for; `NOT_GIVEN` for none.

        Raises `ValidationError`.
        """
        if self.value is not NOT_GIVEN and not self.is_touched(text):
            return self.value
        text = _unix(text or "")
        text = text.strip() if self.kind.strips else text
        if text:
            return self.kind.read(text)
        if self.is_required:
            raise ValidationError(_("This field is required."), code="required")
        return None if self._is_empty_null else NOT_GIVEN

    # Showing

    @property
    def hint(self) -> str:
        """What can be entered, and what an empty input means."""
        parts = [str(self.kind.hint)]
        if self._is_empty_null:
            parts.append(_("Empty: null."))
        elif self.has_default and is_sensitive(self.parameter.name):
            parts.append(_("Empty: the default."))
        elif self.has_default:
            parts.append(_("Default: %s.") % self._shown_default())
        return " ".join(filter(None, parts))

    def render(self, text: str, *, is_wrong: bool) -> SafeString:
        """The input with this text; its hint and its error have ids that end alike."""
        id = self.id
        described = f"{id}_error {id}_helptext" if is_wrong else f"{id}_helptext"
        attrs = {"id": id, "aria-describedby": described}
        if self.is_required:
            attrs["aria-required"] = "true"
        if is_wrong:
            attrs["aria-invalid"] = "true"
        return self._widget().render(f"{PREFIX}{self.parameter.name}", text, attrs)

    @property
    def id(self) -> str:
        """The id of the input."""
        return f"id_{PREFIX}{self.parameter.name}"

    def _widget(self) -> forms.Widget:
        widget = self.kind.widget(self.text)
        if isinstance(widget, forms.Select):
            none = _("default") if self.has_default else "---------"
            masked = [(MASK, MASK)] if self.text == MASK else []
            widget.choices = [("", none), *masked, *widget.choices]
        return widget

    def _shown_default(self) -> str:
        default = self.parameter.default
        default = default.value if isinstance(default, Enum) else default
        try:
            return cut(json.dumps(plain(default), ensure_ascii=False), LONGEST)
        except Exception:  # a default may be anything
            return quoted(default)


def inputs_of(
    function: Callable[..., Any], args: list[Any], kwargs: Mapping[str, Any]
) -> dict[str, ParameterInput]:
    """An input for each parameter of a function, with the values of this call.

    Raises TypeError if the function does not take them, or has no signature.
    """
    signature = signature_of(function)
    if signature is None:
        raise TypeError(_("it does not say which parameters it has"))
    given = signature.bind_partial(*args, **kwargs).arguments
    inputs = {}
    for name, parameter in signature.parameters.items():
        value = given.get(name, NOT_GIVEN)
        if parameter.kind is parameter.VAR_POSITIONAL:
            value = list(value) if value is not NOT_GIVEN else value
            kind = rest_kind(list)
        elif parameter.kind is parameter.VAR_KEYWORD:
            kind = rest_kind(dict)
        else:
            kind = kind_of(function, parameter)
        inputs[name] = ParameterInput(parameter, kind, value)
    return inputs


def error_list(id: str, text: str) -> SafeString:
    """An error as Django shows it, with an id that the input refers to."""
    return format_html('<ul class="errorlist" id="{}_error"><li>{}</li></ul>', id, text)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
