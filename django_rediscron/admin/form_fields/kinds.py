"""What can be typed for a parameter: how its type is shown and read, in the types of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from decimal import InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .widgets import JsonField

PLAIN = {"autocomplete": "off", "spellcheck": "false", "dir": "ltr"}


class Kind:
    """A type of values. `show` gives the text of a value, None if it is none of this type."""

    hint: Any = ""
    strips = True
    nullable = False
    """Whether null is a value, too."""

    def show(self, value: Any) -> str | None:
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """The value of a text that is not empty. Raises `ValidationError`."""
        raise NotImplementedError

    def widget(self, text: str) -> forms.Widget:
        """The input for it, which first shows this text."""
        return forms.TextInput(attrs={**PLAIN, "size": 40})


class Json(Kind):
    """Any JSON, or that of one type."""

    hint: Any = gettext_lazy('JSON, such as "text", 7 or [1, 2].')

    def __init__(self, kind: type = object) -> None:
        self._field = JsonField(kind)

    def show(self, value: Any) -> str | None:
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        return str(self._field.prepare_value(value))

    def read(self, text: str) -> Any:
        return self._field.clean(text)

    def widget(self, text: str) -> forms.Widget:
        rows = min(max(1, text.count("\n") + 1, len(text) // 60), 10)
        return forms.Textarea(attrs={**PLAIN, "rows": rows, "cols": 60})


class Text(Kind):
    """A text as it is typed. An empty one cannot be told from none, so it stays JSON."""

    strips = False

    def show(self, value: Any) -> str | None:
        # browsers change other line ends, and Django refuses zero bytes
        return value if type(value) is str and value and not {"\r", "\0"} & {*value} else None

    def read(self, text: str) -> Any:
        if "\0" in text:
            raise ValidationError(_("Null characters are not allowed."))
        return text

    def widget(self, text: str) -> forms.Widget:
        if "\n" in text:
            return forms.Textarea(attrs={"rows": 3, "cols": 60})
        return forms.TextInput(attrs={**PLAIN, "size": 40})


class Whole(Kind):
    """A whole number."""

    hint = gettext_lazy("A whole number.")

    def show(self, value: Any) -> str | None:
        return str(value) if type(value) is int else None

    def read(self, text: str) -> Any:
        try:
            return int(text)
        except ValueError:
            raise ValidationError(_("Enter a whole number."), code="invalid") from None

    def widget(self, text: str) -> forms.Widget:
        # not type=number: a browser sends nothing for what it takes for no number
        return forms.TextInput(attrs={**PLAIN, "size": 20, "inputmode": "numeric"})


class Number(Kind):
    """A number; of a type that takes both, whole ones stay whole."""

    hint = gettext_lazy("A number.")

    def __init__(self, *, keeps_whole: bool = False) -> None:
        self._keeps_whole = keeps_whole

    def show(self, value: Any) -> str | None:
        if type(value) is int or (type(value) is float and math.isfinite(value)):
            return repr(value)
        return None

    def read(self, text: str) -> Any:
        try:
            number = float(text)
            if not math.isfinite(number):
                raise ValueError
            whole = self._keeps_whole and text.lstrip("+-").isdecimal()
            return int(text) if whole else number
        except ValueError:
            raise ValidationError(_("Enter a number."), code="invalid") from None

    def widget(self, text: str) -> forms.Widget:
        return forms.TextInput(attrs={**PLAIN, "size": 20, "inputmode": "decimal"})


class Written(Kind):
    """What JSON has no type for: the function gets it as a text in a standard form."""

    def __init__(self, hint: Any, wrong: Any, parse: Callable[[str], str | None]) -> None:
        self.hint = hint
        self._wrong = wrong
        self._parse = parse

    def show(self, value: Any) -> str | None:
        return value if type(value) is str and self._written(value) == value else None

    def read(self, text: str) -> Any:
        written = self._written(text)
        if written is None:
            raise ValidationError(self._wrong, code="invalid")
        return written

    def _written(self, text: str) -> str | None:
        try:
            return self._parse(text)
        except (ValueError, InvalidOperation):
            return None


class Choice(Kind):
    """One of several values, each with a label."""

    def __init__(self, options: Iterable[tuple[Any, Any]], hint: Any = "") -> None:
        self.hint = hint
        self._options = {json.dumps(value): (value, label) for value, label in options}

    def show(self, value: Any) -> str | None:
        text = json.dumps(value)
        return text if text in self._options else None

    def read(self, text: str) -> Any:
        if text not in self._options:
            raise ValidationError(_("Select one of the choices."), code="invalid_choice")
        return self._options[text][0]

    def widget(self, text: str) -> forms.Widget:
        choices = [(each, label) for each, (_value, label) in self._options.items()]
        return forms.Select(choices=choices)

    def with_null(self) -> Choice:
        """The same, or null."""
        return Choice([*self._options.values(), (None, _("null"))], self.hint)


ANY_JSON = Json()


def rest_kind(kind: type) -> Kind:
    """That of `*args` or `**kwargs`: a JSON list or object."""
    found = Json(kind)
    found.hint = gettext_lazy("More arguments: a JSON list.")
    if kind is dict:
        found.hint = gettext_lazy("More arguments: a JSON object.")
    return found
