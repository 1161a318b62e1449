"""The form of a schedule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..core.exceptions import InvalidScheduleError
from ..core.job import RedisCronJob
from ..core.options import CALLBACKS
from ..core.validation import check_id
from ..functions import (
    FunctionNotAllowedError,
    allowed_function,
    allowed_functions,
    check_call,
    is_allowed,
)
from ..models import Schedule
from ..query import connection
from ..queues import get_connection, queue_configs
from ..servers import server
from .changelog import definition
from .conflicts import Base, Conflict
from .fields import IntervalsField, JsonField, SecondsField, SuggestingInput
from .labels import LABELS
from .values import RUN_FIELDS, apply, values_of

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


class TimingForm(forms.Form):
    """When a schedule runs: all that a preview needs."""

    interval = SecondsField(
        label=LABELS["interval"],
        help_text=gettext_lazy(
            "Seconds, or with a unit: 90, 10m, 2h, 1d. Either this or a cron expression."
        ),
    )
    cron = forms.CharField(
        label=LABELS["cron"],
        required=False,
        widget=forms.TextInput(attrs={"size": 30, "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy(
            "minute hour day month weekday, such as 30 6 * * mon-fri; a sixth field is seconds."
        ),
    )
    timezone = forms.CharField(
        label=LABELS["timezone"],
        required=False,
        widget=SuggestingInput(attrs={"size": 30}),
        help_text=gettext_lazy(
            "In which the expression is read, such as Europe/Paris. Empty: the server's."
        ),
    )
    start_at = forms.SplitDateTimeField(
        label=LABELS["start_at"],
        required=False,
        widget=AdminSplitDateTime,
        help_text=gettext_lazy("No run before this; an interval counts from it."),
    )
    end_at = forms.SplitDateTimeField(
        label=LABELS["end_at"],
        required=False,
        widget=AdminSplitDateTime,
        help_text=gettext_lazy("No run after this."),
    )
    max_runs = forms.IntegerField(
        label=LABELS["max_runs"],
        required=False,
        min_value=1,
        help_text=gettext_lazy("The schedule is finished after so many. Empty: no limit."),
    )
    jitter = SecondsField(
        fraction=True,
        label=LABELS["jitter"],
        help_text=gettext_lazy(
            "Each run comes late by up to this, always alike for the same run, so that many "
            "schedules do not start at once."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = capfirst(str(field.label or ""))
        zone = self.fields.get("timezone")
        if zone is not None:
            zone.widget.suggestions = sorted(available_timezones())

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


class ScheduleForm(forms.ModelForm, TimingForm):  # type: ignore[type-arg]
    """All that people may say of a schedule.

    Nothing is written before `write`. A form of a stored schedule carries what was loaded, so that
    only what was changed in the form is written, and changes that others made meanwhile are shown.
    """

    refusal: InvalidScheduleError | None = None
    """Why the core refused to write what seemed to be right."""

    base = forms.CharField(required=False, widget=forms.HiddenInput)
    id = forms.CharField(
        label=LABELS["id"],
        max_length=255,
        strip=False,
        widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
        help_text=gettext_lazy(
            "Yours to choose, such as reports:daily. It cannot be changed later."
        ),
    )
    name = forms.CharField(
        label=LABELS["name"],
        required=False,
        help_text=gettext_lazy("RQ's name of it. Empty: the id."),
    )
    enabled = forms.BooleanField(label=LABELS["enabled"], required=False, initial=True)
    func_name = forms.CharField(
        label=LABELS["func_name"],
        widget=SuggestingInput,
        help_text=gettext_lazy(
            "One of those that the code declares, decorates with @job, or lists in the settings."
        ),
    )
    args = JsonField(
        list,
        label=LABELS["args"],
        initial=list,
        help_text=gettext_lazy('A JSON list, such as ["daily", 7].'),
    )
    kwargs = JsonField(
        dict,
        label=LABELS["kwargs"],
        initial=dict,
        help_text=gettext_lazy('A JSON object, such as {"pages": 7}.'),
    )
    queue_name = forms.ChoiceField(label=LABELS["queue_name"])

    catch_up = forms.ChoiceField(
        label=LABELS["catch_up"],
        required=False,
        initial="latest",
        choices=[
            ("latest", gettext_lazy("one run for all that were missed")),
            ("all", gettext_lazy("one run for each, oldest first")),
            ("skip", gettext_lazy("none: wait for the next time")),
        ],
        help_text=gettext_lazy("What to do when no scheduler ran at the time."),
    )
    catch_up_limit = forms.IntegerField(
        label=LABELS["catch_up_limit"],
        required=False,
        initial=100,
        min_value=1,
        help_text=gettext_lazy("Of one run for each: only so many, the newest ones."),
    )
    misfire_grace = SecondsField(
        fraction=True,
        label=LABELS["misfire_grace"],
        help_text=gettext_lazy("A run that is later than this is skipped. Empty: no limit."),
    )
    overlap = forms.ChoiceField(
        label=LABELS["overlap"],
        required=False,
        initial="allow",
        choices=[
            ("allow", gettext_lazy("run even if the run before has not ended")),
            ("skip", gettext_lazy("skip a run while the run before waits or works")),
            ("queue_one", gettext_lazy("at most one run waits while another works")),
        ],
    )

    job_timeout = SecondsField(
        label=LABELS["job_timeout"],
        help_text=gettext_lazy("A job that works longer fails. -1: no limit. Empty: the queue's."),
    )
    result_ttl = SecondsField(
        label=LABELS["result_ttl"],
        help_text=gettext_lazy("-1: for ever. 0: not at all. Empty: the queue's."),
    )
    failure_ttl = SecondsField(
        label=LABELS["failure_ttl"],
        help_text=gettext_lazy("-1: for ever. 0: not at all. Empty: RQ's, a year."),
    )
    ttl = SecondsField(
        label=LABELS["ttl"],
        help_text=gettext_lazy("A job that waits longer in its queue is dropped. Empty: no limit."),
    )
    at_front = forms.BooleanField(label=LABELS["at_front"], required=False)
    retry_max = forms.IntegerField(
        label=LABELS["retry_max"],
        required=False,
        min_value=1,
        help_text=gettext_lazy("After a failure. Empty: none."),
    )
    retry_intervals = IntervalsField(
        label=LABELS["retry_intervals"],
        help_text=gettext_lazy("Seconds, or with a unit, separated by commas: 10, 1m, 5m."),
    )
    on_success = forms.CharField(
        label=LABELS["on_success"],
        required=False,
        widget=SuggestingInput,
        help_text=gettext_lazy("A function of RQ's callbacks; behind it, if wanted, its time-out."),
    )
    on_failure = forms.CharField(label=LABELS["on_failure"], required=False, widget=SuggestingInput)
    on_stopped = forms.CharField(label=LABELS["on_stopped"], required=False, widget=SuggestingInput)
    description = forms.CharField(
        label=LABELS["description"],
        required=False,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text=gettext_lazy("RQ's description of each job. Empty: the call."),
    )
    meta = JsonField(
        dict,
        label=LABELS["meta"],
        initial=dict,
        help_text=gettext_lazy("A JSON object that each job carries."),
    )

    class Media:
        js = ("django_rediscron/preview.js",)

    class Meta:
        model = Schedule
        fields = ("id",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored: RedisCronJob | None = self.instance.job
        self.conflict: Conflict | None = None
        self.job: RedisCronJob | None = None
        self._offer()
        if self.stored is not None:
            for name in fixed_fields(self.stored):
                self.fields.pop(name, None)
            self._load(self.stored)

    def _offer(self) -> None:
        """What there is to choose from."""
        choices = list(_queue_names())
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
                self.initial.update(values_of(base.job()))

    # Judging

    def clean_id(self) -> str:
        """Refused here already, for it is a key of Redis and a part of URLs."""
        id: str = self.cleaned_data["id"]
        try:
            check_id(id)
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None
        return id

    def clean_func_name(self) -> str:
        """On the allow-list, and importable."""
        name: str = self.cleaned_data["func_name"]
        self.function = self._allowed(name, "func_name")
        return name

    def clean_catch_up(self) -> str:
        return self.cleaned_data["catch_up"] or "latest"

    def clean_catch_up_limit(self) -> int:
        return self.cleaned_data["catch_up_limit"] or 100

    def clean_overlap(self) -> str:
        return self.cleaned_data["overlap"] or "allow"

    def clean_on_success(self) -> str:
        return self._clean_callback("on_success")

    def clean_on_failure(self) -> str:
        return self._clean_callback("on_failure")

    def clean_on_stopped(self) -> str:
        return self._clean_callback("on_stopped")

    def _clean_callback(self, name: str) -> str:
        value: str = self.cleaned_data[name]
        # One that was stored by a program, and is left as it is, has nothing to do with this user.
        if value and not (self.stored and self.stored.job_options.get(name) == value):
            self._allowed(value.partition(" ")[0], name)
        return value

    def _allowed(self, name: str, field: str) -> Callable[..., Any]:
        try:
            return allowed_function(name)
        except FunctionNotAllowedError as error:
            raise ValidationError(str(error), code="not_allowed") from None
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.refusal is not None:
            self.refuse(self.refusal)
        if self.stored is not None and self.is_bound:
            self._look_for_conflict(self.stored)
        if not self.errors:
            self._check_call(cleaned)
        if not self.errors:
            self.accept(lambda: self._make(cleaned))
        return cleaned

    def _check_call(self, cleaned: dict[str, Any]) -> None:
        if "func_name" not in self.fields:
            return
        try:
            check_call(self.function, cleaned["args"], cleaned["kwargs"])
        except InvalidScheduleError as error:
            named = "keyword" in str(error).partition(";")[0]
            self.add_error("kwargs" if named else "args", ValidationError(str(error)))

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
        job = base.job()
        names = set(self.changed_data) & set(self.cleaned_data)
        with suppress(InvalidScheduleError):
            apply(job, self.cleaned_data, names)
        return definition(job)

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


def _queue_names() -> Iterator[str]:
    """Queues whose jobs workers find: on the Redis where the schedules are."""
    here = server(connection())
    for name in queue_configs():
        try:
            there = server(get_connection(name))
        except Exception:  # an incomplete entry: the system checks speak of it
            continue
        if there == here:
            yield name


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
