"""Names of a schedule's fields, and their values, for people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..core.quoting import LONGEST, cut

LABELS = {
    "id": gettext_lazy("id"),
    "name": gettext_lazy("label"),
    "enabled": gettext_lazy("enabled"),
    "func_name": gettext_lazy("function"),
    "args": gettext_lazy("arguments"),
    "kwargs": gettext_lazy("keyword arguments"),
    "queue_name": gettext_lazy("queue"),
    "interval": gettext_lazy("interval"),
    "cron": gettext_lazy("cron expression"),
    "timezone": gettext_lazy("time zone"),
    "start_at": gettext_lazy("starts"),
    "end_at": gettext_lazy("ends"),
    "max_runs": gettext_lazy("most runs"),
    "jitter": gettext_lazy("jitter"),
    "catch_up": gettext_lazy("missed runs"),
    "catch_up_limit": gettext_lazy("missed runs at most"),
    "misfire_grace": gettext_lazy("latest start"),
    "overlap": gettext_lazy("overlap"),
    "job_timeout": gettext_lazy("time-out"),
    "result_ttl": gettext_lazy("keep results"),
    "failure_ttl": gettext_lazy("keep failures"),
    "ttl": gettext_lazy("longest wait"),
    "at_front": gettext_lazy("at the front of the queue"),
    "retry": gettext_lazy("further attempts"),
    "retry_max": gettext_lazy("further attempts"),
    "retry_intervals": gettext_lazy("waits before them"),
    "on_success": gettext_lazy("after success"),
    "on_failure": gettext_lazy("after a failure"),
    "on_stopped": gettext_lazy("when stopped"),
    "description": gettext_lazy("description"),
    "meta": gettext_lazy("meta"),
    "webhooks": gettext_lazy("webhooks"),
}

_FLAGS = ("enabled", "at_front")
_LONGEST = 200


class LabelledForm(forms.Form):
    """A form whose fields are called so, unless they have labels of their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = capfirst(str(field.label or LABELS.get(name, "")))

    def add_error(self, field: str | None, error: Any) -> None:
        """Values are cut: what was sent stands in the input already."""
        for each in getattr(error, "error_list", ()):
            if each.params:
                each.params = {
                    name: cut(value, LONGEST) if isinstance(value, str) else value
                    for name, value in each.params.items()
                }
        super().add_error(field, error)


def label(name: str) -> str:
    """The name of a field of the form or of the hash."""
    return str(LABELS.get(name, name))


def shown(name: str, text: str) -> str:
    """A value of the hash."""
    if name in _FLAGS:
        return _("yes") if text == "1" else _("no")
    return Truncator(text).chars(_LONGEST) if text else _("none")
