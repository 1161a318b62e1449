"""The form of a schedule."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...allowlist import allowed_functions, is_allowed
from ...core.exceptions import InvalidScheduleError
from ...core.job import RedisCronJob
from ...core.schedule.checks import check_id
from ...core.schedule.rq_options import CALLBACKS
from ...core.schedule.texts import dump_json
from ...models import Schedule
from ...query.queryset import connection
from ...queues import queues_beside
from ..log import definition
from .conflicts import Base, Conflict, brief, brief_definition
from .job_fields import JobForm
from .timing_fields import TimingForm
from .values import RUN_FIELDS, apply, values_of


class ScheduleForm(forms.ModelForm, JobForm, TimingForm):  # type: ignore[type-arg]
    """All that people may say of a schedule.

    Nothing is written before `write`. A form of a stored schedule carries what was loaded, so that
    only what was changed in the form is written, and changes that others made meanwhile are shown.
    """

    refusal: InvalidScheduleError | None = None
    """Why the core refused to write what seemed to be right."""

    base = forms.CharField(required=False, widget=forms.HiddenInput)
    id = forms.CharField(
        max_length=255,
        strip=False,
        widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
        help_text=gettext_lazy(
            "Yours to choose, such as reports:daily. It cannot be changed later."
        ),
    )
    name = forms.CharField(
        required=False,
        help_text=gettext_lazy("RQ's name of it. Empty: the id."),
    )
    enabled = forms.BooleanField(required=False, initial=True)

    class Media:
        js = ("django_rediscron/preview.js",)

    class Meta:
        model = Schedule
        fields = ("id",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = self.instance.job
        self.conflict: Conflict | None = None
        self.job: RedisCronJob | None = None
        self._offer()
        if self.stored is not None:
            for name in fixed_fields(self.stored):
                self.fields.pop(name, None)
            self._load(self.stored)

    def _offer(self) -> None:
        """What there is to choose from."""
        choices = list(queues_beside(connection()))
        stored = self.stored.queue_name if self.stored else None
        if stored and stored not in choices:
            choices.append(stored)
        queue: Any = self.fields.get("queue_name")
        if queue is not None:
            queue.choices = [(name, name) for name in choices]
        suggestions = allowed_functions()
        for name in ("func_name", *CALLBACKS):
            if name in self.fields:
                self.fields[name].widget.suggestions = suggestions

    def _load(self, stored: RedisCronJob) -> None:
        """Begin with what stands in Redis, or, where the form comes back, with what it was sent."""
        self.loaded = Base.of(stored)
        self.initial = {**values_of(stored), "base": self.loaded.dump()}
        if self.is_bound:
            base = Base.load(self.data.get(self.add_prefix("base"), ""), stored.id)
            if base is not None:
                self.loaded = base
                self.initial.update(values_of(base.job(stored)))
                for name, text in base.replaced(stored).items():
                    self._keep_what_was_loaded(name, text)

    def _keep_what_was_loaded(self, name: str, text: str) -> None:
        """A long value that others replaced counts as touched here only if it differs from what was
        loaded, of which only the digest is known."""
        if name in self.fields:
            sent = self.data.get(self.add_prefix(name), "")
            with suppress(ValidationError):
                value = self.fields[name].to_python(sent)
                if brief(value if isinstance(value, str) else dump_json(value)) == text:
                    self.initial[name] = value

    def is_multipart(self) -> bool:
        """Always: arguments in another encoding are up to three times as long."""
        return True

    # Judging

    def clean_id(self) -> str:
        """Refused here already, for it is a key of Redis and a part of URLs."""
        id: str = self.cleaned_data["id"]
        try:
            check_id(id)
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None
        return id

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.stored is not None:
            self.keep_untouched(cleaned)
        if self.refusal is not None:
            self.refuse(self.refusal)
        if self.stored is not None and self.is_bound:
            self._look_for_conflict(self.stored)
        if not self.errors:
            self._check_call(cleaned)
        if not self.errors:
            self.accept(lambda: self._make(cleaned))
        return cleaned

    def _make(self, cleaned: dict[str, Any]) -> None:
        names = set(self.fields) - {"id", "base"}
        if self.stored is not None:
            job = self.stored.snapshot()
            job.job_options = dict(job.job_options)
            names.intersection_update(self.changed_data)
        else:
            # Any timing does until the form's own stands in its place.
            job = RedisCronJob(
                cleaned["id"],
                cleaned["queue_name"],
                func_name=cleaned["func_name"],
                interval=1,
                connection=connection(),
            )
            job.next_enqueue_time = None
        apply(job, cleaned, names)
        job.validate()
        self.job = job

    def _look_for_conflict(self, stored: RedisCronJob) -> None:
        base = Base.load(self.data.get(self.add_prefix("base"), ""), stored.id)
        if base is None:
            raise ValidationError(
                _("This form is incomplete: open the page again and repeat your changes."),
                code="base",
            )
        if base.version == stored.version:
            return
        self.conflict = Conflict(base, stored, self._wanted(base))
        self._take_over(stored)
        raise ValidationError(self.conflict.message(), code="conflict")

    def _wanted(self, base: Base) -> dict[str, str]:
        """The definition that this form asks for, as far as it is right."""
        assert self.stored is not None
        job = base.job(self.stored)
        names = set(self.changed_data) & set(self.cleaned_data)
        with suppress(InvalidScheduleError):
            apply(job, self.cleaned_data, names)
        return brief_definition(job)

    def _take_over(self, stored: RedisCronJob) -> None:
        """Show what stands in Redis now, but for what was changed in this form."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        values = {**values_of(stored), "base": Base.of(stored).dump()}
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


def fixed_fields(job: RedisCronJob) -> tuple[str, ...]:
    """Fields that the form does not let anybody change: whoever may say with which arguments a
    function runs that is not on the allow-list runs it."""
    return () if is_allowed(job.func_name) else RUN_FIELDS


def _put(data: Any, name: str, field: forms.Field, value: Any) -> None:
    """Give a bound form the value as its widget would send it."""
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
