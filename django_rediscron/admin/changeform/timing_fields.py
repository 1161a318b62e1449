"""The part of a schedule's form that says when it runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from ...core.exceptions import InvalidScheduleError
from ...core.timing.zones import is_portable
from ..labels import LabelledForm
from ..moments import MomentField
from .widgets import SecondsField, SuggestingInput

_FIRST_WORD = re.compile(r"[a-z_]+", re.ASCII)
_OF_WORD = {
    "function": "func_name",
    "queue": "queue_name",
    "either": "cron",
    "retry": "retry_max",
}
"""Fields of errors that do not begin with a field's name."""


def field_of(error: InvalidScheduleError) -> str:
    """The field that an error of the core speaks of; its texts begin with it."""
    word = _FIRST_WORD.match(str(error))
    return _OF_WORD.get(word[0], word[0]) if word else ""


class TimingForm(LabelledForm):
    """When a schedule runs: all that a preview needs."""

    interval = SecondsField(
        help_text=gettext_lazy(
            "Seconds, or with a unit: 90, 10m, 2h, 1d. Either this or a cron expression."
        ),
    )
    cron = forms.CharField(
        required=False,
        widget=forms.TextInput(
            attrs={"size": 30, "spellcheck": "false", "autocomplete": "off", "dir": "ltr"}
        ),
        help_text=gettext_lazy(
            "minute hour day month weekday, such as 30 6 * * mon-fri; a sixth field is seconds."
        ),
    )
    timezone = forms.CharField(
        required=False,
        widget=SuggestingInput(attrs={"size": 30}),
        help_text=gettext_lazy(
            "In which the expression is read, such as Europe/Paris. Empty: the server's."
        ),
    )
    start_at = MomentField(
        help_text=gettext_lazy("No run before this; an interval counts from it."),
    )
    end_at = MomentField(
        help_text=gettext_lazy("No run after this."),
    )
    max_runs = forms.IntegerField(
        required=False,
        min_value=1,
        help_text=gettext_lazy("The schedule is finished after so many. Empty: no limit."),
    )
    jitter = SecondsField(
        fraction=True,
        help_text=gettext_lazy(
            "Each run comes late by up to this, always alike for the same run, so that many "
            "schedules do not start at once."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields.get("timezone")
        if zone is not None:
            zone.widget.suggestions = sorted(filter(is_portable, available_timezones()))

    def keep_untouched(self, cleaned: dict[str, Any]) -> None:
        """What was not touched is not judged: it stays what was loaded."""
        for name in self.fields.keys() & self.initial.keys() - set(self.changed_data):
            self.errors.pop(name, None)
            cleaned[name] = self.initial[name]

    def clean_jitter(self) -> float:
        """None is no jitter."""
        return self.cleaned_data["jitter"] or 0

    def accept(self, make: Callable[[], None]) -> None:
        """What the core does not accept is told at the field that it speaks of."""
        try:
            make()
        except InvalidScheduleError as error:
            self.refuse(error)

    def refuse(self, error: InvalidScheduleError) -> None:
        """Show an error of the core where it belongs."""
        field = field_of(error)
        self.add_error(field if field in self.fields else None, ValidationError(str(error)))
