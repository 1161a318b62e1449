"""The form of a schedule."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...core.exceptions import InvalidScheduleError
from ...core.job import RedisCronJob
from ...core.schedule.checks import check_id
from ...core.schedule.option_checks import NOTIFY
from ...core.schedule.texts import dump_json
from ...core.sensitive import unmask
from ...models import Schedule
from ...queues import get_queue, main_connection, queues_beside
from ..form_fields.job import RUN_FIELDS, JobForm, fixed_fields
from ..form_fields.parameters import PREFIX
from ..form_fields.timing import TimingForm
from ..log import definition
from .call import ARGS, KWARGS, Call
from .conflicts import Conflict, LoadedSchedule, brief_definition, is_brief_of
from .values import apply, timed_job, values_of

_FIRST_WORD = re.compile(r"(?:notify\[')?[a-z_]+", re.ASCII)
_OF_WORD = {
    "function": "func_name",
    "queue": "queue_name",
    "either": "cron",
    "retry": "retry_max",
    **{f"notify['{key}": f"notify_{key}" for key in NOTIFY},
}
"""Fields of errors that do not begin with the name of a field."""


class ScheduleForm(forms.ModelForm, JobForm, TimingForm):  # type: ignore[type-arg]
    """All that people can set of a schedule.

    Nothing is written before `write`. The form of a stored schedule carries what was loaded, so
    that only changed fields are written, and changes that others made meanwhile are shown.
    """

    base = forms.CharField(required=False, widget=forms.HiddenInput)
    id = forms.CharField(
        label=gettext_lazy("id"),
        max_length=255,
        strip=False,
        widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
        help_text=gettext_lazy("Choose an id, such as reports:daily. It cannot be changed later."),
    )
    name = forms.CharField(
        label=gettext_lazy("label"),
        required=False,
        help_text=gettext_lazy("Name shown in RQ. Empty: the id."),
    )
    enabled = forms.BooleanField(label=gettext_lazy("enabled"), required=False, initial=True)

    class Media:
        js = ("django_rediscron/preview.js", "django_rediscron/call.js")

    class Meta:
        model = Schedule
        fields = ("id",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = self.instance.job
        self.conflict: Conflict | None = None
        self.job: RedisCronJob | None = None
        self.call: Call | None = None
        """What the inputs of the parameters say; None if the JSON counts."""
        self._offer_queues()
        if self.stored is not None:
            fixed = fixed_fields(self.stored)
            for name in (*fixed, "parameters") if fixed else ():
                self.fields.pop(name, None)
            self._load(self.stored)
        if self.is_bound and "parameters" in self.fields:
            self._read_call()

    def _offer_queues(self) -> None:
        queues = list(queues_beside(main_connection()))
        stored = self.stored.queue_name if self.stored else None
        if stored and stored not in queues:
            queues.append(stored)
        field: Any = self.fields.get("queue_name")
        if field is not None:
            field.choices = [(name, name) for name in queues]

    def _load(self, stored: RedisCronJob) -> None:
        """Set the initial values: the stored ones or, if the form was sent, those it carries."""
        self.loaded = LoadedSchedule.of(stored)
        self.initial = {**values_of(stored), "base": self.loaded.dump()}
        loaded = self._sent_base(stored) if self.is_bound else None
        if loaded is not None:
            self.loaded = loaded
            self.initial.update(values_of(loaded.job(stored)))
            for name, text in loaded.replaced(stored).items():
                self._load_long_value(name, text)

    def _sent_base(self, stored: RedisCronJob) -> LoadedSchedule | None:
        return LoadedSchedule.load(self.data.get(self.add_prefix("base"), ""), stored.id)

    def _load_long_value(self, name: str, text: str) -> None:
        """A long value that others replaced counts as changed here only if what was sent differs
        from what was loaded, of which only the digest is known."""
        if name in self.fields:
            sent = self.data.get(self.add_prefix(name), "")
            with suppress(ValidationError):
                value = self.fields[name].to_python(sent)
                sent_text = value if isinstance(value, str) else dump_json(value)
                if is_brief_of(text, name, sent_text):
                    self.initial[name] = value

    def _read_call(self) -> None:
        """Put into the JSON of the arguments what was typed for single parameters."""
        self.call = Call.sent(self.data)
        if self.call is not None and self.call.is_changed:
            data: Any = self.data.copy()  # type: ignore[attr-defined]
            _put(data, "args", ARGS, self.call.args)
            _put(data, "kwargs", KWARGS, self.call.kwargs)
            self.data = data

    def shown_call(self) -> tuple[Call, bool]:
        """The call as the page shows it, and whether as inputs, not as JSON."""
        texts = [str(self[name].value() or "") for name in ("func_name", "args", "kwargs")]
        call = Call(*texts)
        if self.call is not None and self.call.name == call.name:
            told = (key for key in self.call.errors if f"{PREFIX}{key}" in self.errors)
            call.errors = {key: self.call.errors[key] for key in told}
            call.texts = self.call.texts
        chosen = not self.is_bound or self.data.get("parameters") == call.name
        return call, call.has_inputs and chosen and not {"args", "kwargs"} & self.errors.keys()

    def is_multipart(self) -> bool:
        """Always: in the other encoding, arguments are up to three times as long."""
        return True

    # Checking

    def clean_id(self) -> str:
        """Checked before anything is looked up, because it becomes a Redis key and part of URLs."""
        id: str = self.cleaned_data["id"]
        try:
            check_id(id)
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None
        return id

    def clean_kwargs(self) -> dict[str, Any]:
        """With the stored values in place of masks that the user left as they were."""
        try:
            kwargs: dict[str, Any] = unmask(
                self.cleaned_data["kwargs"], self.stored.kwargs if self.stored else {}
            )
        except ValueError as error:
            text = _("The value of “%(key)s” is hidden, and none is stored here: enter it.")
            wrong = ValidationError(text, code="masked", params={"key": str(error)})
            if self.call is not None and str(error) in self.call.inputs:
                self.call.errors[str(error)] = wrong.messages[0]
                return {}
            raise wrong from None
        return kwargs

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.stored is not None:
            self.keep_untouched(cleaned)
            if self.is_bound:
                self._look_for_conflict(self.stored)
        self._add_errors_of_call()
        if not self.errors:
            self.check_call(cleaned)
        try:
            if self.errors:
                self.check_timing(cleaned)
            else:
                self.job = self._make_job(cleaned)
        except InvalidScheduleError as error:
            field = field_of(error)
            name = field if field in self.fields else None
            self.add_error(name, ValidationError(str(error)))
        return cleaned

    def check_timing(self, cleaned: dict[str, Any]) -> None:
        """What is wrong with the timing is told, whatever else is wrong."""
        names = TimingForm.base_fields.keys()
        is_wanted = self.stored is None or not names.isdisjoint(self.changed_data)
        if is_wanted and names <= cleaned.keys():
            timed_job(cleaned, names).validate()

    def _add_errors_of_call(self) -> None:
        """Those of single parameters; a call that is left alone is not checked."""
        is_new = self.stored is None or not {*RUN_FIELDS}.isdisjoint(self.changed_data)
        if self.call is not None and (self.call.texts or is_new):
            for name, text in self.call.errors.items():
                self.errors[f"{PREFIX}{name}"] = self.error_class([text])

    def _make_job(self, cleaned: dict[str, Any]) -> RedisCronJob:
        """The schedule that `write` saves.

        Raises `InvalidScheduleError` if that would be refused.
        """
        names = set(self.fields) - {"id", "base"}
        if self.stored is not None:
            job = self.stored.snapshot()
            job.job_options = dict(job.job_options)
            names.intersection_update(self.changed_data)
        else:
            # Any timing will do until it is replaced by the form's own.
            job = RedisCronJob(
                cleaned["id"],
                cleaned["queue_name"],
                func_name=cleaned["func_name"],
                interval=1,
                connection=main_connection(),
            )
            job.next_enqueue_time = None
        apply(job, cleaned, names)
        job.validate()
        job.import_functions(names)
        if "queue_name" in names:
            get_queue(job.queue_name, main_connection())
        return job

    def _look_for_conflict(self, stored: RedisCronJob) -> None:
        loaded = self._sent_base(stored)
        if loaded is None:
            raise ValidationError(
                _("This form is incomplete: open the page again and repeat your changes."),
                code="base",
            )
        if loaded.version == stored.version:
            return
        self.conflict = Conflict(loaded, stored, self._wanted(loaded, stored))
        self._show_stored(stored)
        raise ValidationError(self.conflict.message(), code="conflict")

    def _wanted(self, loaded: LoadedSchedule, stored: RedisCronJob) -> dict[str, str]:
        """The definition that this form asks for, as far as it is valid."""
        job = loaded.job(stored)
        names = set(self.changed_data) & set(self.cleaned_data)
        with suppress(InvalidScheduleError):
            apply(job, self.cleaned_data, names)
        return brief_definition(job)

    def _show_stored(self, stored: RedisCronJob) -> None:
        """Show what is stored now, except in fields that were changed in this form."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        values = {**values_of(stored), "base": LoadedSchedule.of(stored).dump()}
        for name, field in self.fields.items():
            if name not in values or (name in self.changed_data and name != "base"):
                continue
            _put(data, self.add_prefix(name), field, values[name])
        self.data = data

    # Writing

    def save(self, commit: bool = True) -> Schedule:
        """The instance with the schedule that `write` will save."""
        if self.job is not None:
            self.instance.job = self.job
            self.instance.id = self.job.id
        if commit:
            self.write()
        instance: Schedule = self.instance
        return instance

    def _save_m2m(self) -> None:
        """Nothing: there are no relations."""

    save_m2m = _save_m2m

    def write(self) -> None:
        """Save it, only over the version that was loaded.

        Raises `ScheduleChangedError`, `NoSuchJobError` and what else `RedisCronJob.save` raises.
        """
        job = self.job
        assert job is not None
        if self.stored is None:
            job.save(event="created", if_version="")
        elif definition(job) != definition(self.stored):
            job.save(if_version=self.loaded.version)


def field_of(error: InvalidScheduleError) -> str:
    """The field that an error of the core is about; its text begins with it."""
    word = _FIRST_WORD.match(str(error))
    return _OF_WORD.get(word[0], word[0]) if word else ""


def _put(data: Any, name: str, field: forms.Field, value: Any) -> None:
    """Give a bound form a value as its widget would send it."""
    widget = field.widget
    value = field.prepare_value(value)
    if isinstance(widget, forms.MultiWidget):
        parts: Any = widget.decompress(value)
        for place, part in enumerate(parts):
            data[f"{name}_{place}"] = "" if part is None else str(part)
    elif isinstance(value, bool):
        data.pop(name, None)
        if value:
            data[name] = "on"
    else:
        data[name] = "" if value is None else str(value)
