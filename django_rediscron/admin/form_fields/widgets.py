"""Kinds of form fields, and what all parts of the form have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...core.quoting import LONGEST, cut
from ...core.timing.durations import seconds_from_text

LONGEST_INDENTED = 20_000
"""Characters of JSON: with blanks, longer text would be too long to send, and nobody reads it."""


class Group(NamedTuple):
    """Fields of the form below a heading."""

    heading: Any
    lines: tuple[str | tuple[str, ...], ...]
    """Names of fields; those in one tuple share a line."""
    is_open: bool = False
    """Whether it is shown even if all fields have their defaults."""


class LabelledForm(forms.Form):
    """A form whose labels begin with a capital letter, as Django's own do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(str(field.label or ""))

    def add_error(self, field: str | None, error: Any) -> None:
        """Django's own, with long values cut: the input shows what was sent."""
        for each in getattr(error, "error_list", ()):
            if each.params:
                each.params = {
                    name: cut(value, LONGEST) if isinstance(value, str) else value
                    for name, value in each.params.items()
                }
        super().add_error(field, error)


class JsonField(forms.CharField):
    """JSON of one type; errors name line and column. Empty text means an empty value."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 60, "spellcheck": "false", "dir": "ltr"})

    def __init__(self, kind: type, **options: Any) -> None:
        self.kind = kind
        super().__init__(required=False, strip=False, **options)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return self.kind() if value is None else value
        if not value.strip():
            return self.kind()
        try:
            parsed = json.loads(value, parse_constant=_refuse_constant, object_pairs_hook=_pairs)
        except json.JSONDecodeError as error:
            near = error.doc[error.pos : error.pos + 20].partition("\n")[0]
            raise ValidationError(
                _("Not JSON: %(reason)s at line %(line)d, column %(column)d, before “%(near)s”.")
                if near
                else _("Not JSON: %(reason)s at line %(line)d, column %(column)d, the end."),
                code="json",
                params={
                    "reason": error.msg,
                    "line": error.lineno,
                    "column": error.colno,
                    "near": near,
                },
            ) from None
        except (ValueError, RecursionError) as error:
            text = _("it is nested too deep") if isinstance(error, RecursionError) else str(error)
            raise ValidationError(_("Not JSON: %s.") % text, code="json") from None
        if not isinstance(parsed, self.kind):
            wanted = (
                _("a list, such as [1, 2]")
                if self.kind is list
                else _('an object, such as {"key": "value"}')
            )
            raise ValidationError(_("This must be %s.") % wanted, code="kind")
        return parsed

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        text = json.dumps(value, ensure_ascii=False)
        if 60 < len(text) <= LONGEST_INDENTED:
            return json.dumps(value, ensure_ascii=False, indent=2)
        return text

    def has_changed(self, initial: Any, data: Any) -> bool:
        if isinstance(data, str) and data.replace("\r\n", "\n") == self.prepare_value(initial):
            return False  # untouched, even if it would be refused now, such as NaN
        try:
            return bool(_exact(self.to_python(data)) != _exact(initial))
        except ValidationError:
            return True


class SecondsField(forms.CharField):
    """Seconds, or a number with a unit: `90`, `10m`, `2h`, `1d`; whole unless `fraction` is set."""

    widget = forms.TextInput(attrs={"size": 12, "autocomplete": "off", "dir": "ltr"})

    def __init__(self, *, fraction: bool = False, **options: Any) -> None:
        self.fraction = fraction
        super().__init__(required=False, **options)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        value = value.strip()
        if not value:
            return None
        try:
            seconds = seconds_from_text(value)
        except ValueError:
            raise ValidationError(
                _("Enter a number of seconds, or a number with s, m, h, d or w such as 10m."),
                code="seconds",
            ) from None
        if not self.fraction and type(seconds) is not int:
            raise ValidationError(_("Enter a whole number of seconds."), code="seconds")
        return seconds

    def prepare_value(self, value: Any) -> Any:
        return value if value is None else str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class IntervalsField(forms.CharField):
    """Seconds before each retry, separated by commas; the last one repeats."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return list(value or ())
        seconds = SecondsField()
        return [seconds.to_python(each) for each in value.split(",") if each.strip()]

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else ", ".join(map(str, value or ()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != list(initial or ()))
        except ValidationError:
            return True


class SuggestingInput(forms.TextInput):
    """A text input with suggestions, which the browser searches as one types."""

    def __init__(self, suggest: Callable[[], Iterable[str]], *, size: int = 60) -> None:
        plain = {"size": size, "spellcheck": "false", "autocomplete": "off", "dir": "ltr"}
        super().__init__(attrs=plain)
        self.suggest = suggest

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        id = f"{(attrs or {}).get('id', name)}_suggestions"
        input = super().render(name, value, {**(attrs or {}), "list": id}, renderer)
        options = format_html_join(
            "", '<option value="{}"></option>', ((each,) for each in self.suggest())
        )
        return format_html('{}<datalist id="{}">{}</datalist>', input, id, options)


class ParametersWidget(forms.HiddenInput):
    """Inputs for the parameters of a function, which a script shows in place of the JSON.

    What is sent is the function that the inputs are for, or nothing if the JSON counts.
    """

    render_inputs: Callable[[], SafeString] | None = None
    """The form says how."""

    @property
    def is_hidden(self) -> bool:
        return self.render_inputs is None

    def id_for_label(self, id_: str, index: str | None = None) -> str:
        return ""  # the label is that of a group

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        input = super().render(name, "", attrs, renderer)
        inputs = self.render_inputs() if self.render_inputs else ""
        return format_html("{}{}", input, inputs)


def _exact(value: Any) -> str:
    """A text that differs for 1 and true, which are equal in Python."""
    return json.dumps(value)


def _refuse_constant(name: str) -> Any:
    raise ValueError(_("%s is not valid JSON") % name)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(_("the key “%s” stands twice in one object") % name[:80])
        found[name] = value
    return found
