"""What a schedule runs and how: all of its form but the timing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from ...allowlist import (
    FunctionNotAllowedError,
    allowed_function,
    allowed_functions,
    check_call,
    is_allowed,
)
from ...core.exceptions import InvalidScheduleError
from ...core.job import RedisCronJob
from ...core.schedule.option_checks import NOTIFY
from .widgets import (
    Group,
    IntervalsField,
    JsonField,
    LabelledForm,
    ParametersWidget,
    SecondsField,
    SuggestingInput,
)

RUN_FIELDS = ("func_name", "args", "kwargs")
"""What runs: fixed if the function is not on the allow-list."""

WHAT_RUNS = Group(
    gettext_lazy("What runs"),
    ("func_name", "parameters", "args", "kwargs", "queue_name", "tags"),
    is_open=True,
)
LATE_RUNS = Group(
    gettext_lazy("Late and overlapping runs"),
    (("catch_up", "catch_up_limit"), "misfire_grace", "overlap"),
)
FAILURES = Group(gettext_lazy("Failures and long runs"), (("max_failures", "max_runtime"),))
NOTIFY_FIELDS = ("notify", *(f"notify_{key}" for key in NOTIFY))
"""Fields that say which alarms the schedule gives."""

ALARMS = Group(
    gettext_lazy("Alarms"),
    ("notify", ("notify_failures", "notify_late_after"), "notify_margin", "notify_by_hand"),
)
RQ_JOB = Group(
    gettext_lazy("RQ job options"),
    (
        ("job_timeout", "ttl"),
        ("result_ttl", "failure_ttl"),
        ("retry_max", "retry_intervals"),
        "at_front",
        "on_success",
        "on_failure",
        "on_stopped",
        "description",
        "meta",
    ),
)


def fixed_fields(job: RedisCronJob) -> tuple[str, ...]:
    """Fields that nobody can change in the form: whoever sets the arguments of a function that is
    not on the allow-list controls what it does."""
    return () if is_allowed(job.func_name) else RUN_FIELDS


class JobForm(LabelledForm):
    """The call, late, overlapping, failing and long runs, alarms, and the options of the RQ job."""

    stored: RedisCronJob | None = None
    """The schedule that is changed; None if one is added."""

    func_name = forms.CharField(
        label=gettext_lazy("function"),
        widget=SuggestingInput(allowed_functions),
        help_text=gettext_lazy(
            "One of those that the code declares, decorates with @job, or lists in the settings."
        ),
    )
    parameters = forms.CharField(
        label=gettext_lazy("parameters"), required=False, widget=ParametersWidget
    )
    args = JsonField(
        list,
        label=gettext_lazy("arguments"),
        initial=list,
        help_text=gettext_lazy('A JSON list, such as ["daily", 7].'),
    )
    kwargs = JsonField(
        dict,
        label=gettext_lazy("keyword arguments"),
        initial=dict,
        help_text=gettext_lazy('A JSON object, such as {"pages": 7}.'),
    )
    queue_name = forms.ChoiceField(label=gettext_lazy("queue"))

    catch_up = forms.ChoiceField(
        label=gettext_lazy("missed runs"),
        required=False,
        initial="latest",
        choices=[
            ("latest", gettext_lazy("one run for all that were missed")),
            ("all", gettext_lazy("one run for each, oldest first")),
            ("skip", gettext_lazy("none: wait for the next time")),
        ],
        help_text=gettext_lazy("What to do if no scheduler was running at the time."),
    )
    catch_up_limit = forms.IntegerField(
        label=gettext_lazy("catch-up limit"),
        required=False,
        initial=100,
        min_value=1,
        help_text=gettext_lazy("If one run for each: only this many, the newest ones."),
    )
    misfire_grace = SecondsField(
        label=gettext_lazy("maximum delay"),
        fraction=True,
        help_text=gettext_lazy("A run that is later than this is skipped. Empty: no limit."),
    )
    overlap = forms.ChoiceField(
        label=gettext_lazy("overlap"),
        required=False,
        initial="allow",
        choices=[
            ("allow", gettext_lazy("run anyway")),
            ("skip", gettext_lazy("skip while a run is queued or running")),
            ("queue_one", gettext_lazy("queue at most one run while another is running")),
        ],
    )

    max_failures = forms.IntegerField(
        label=gettext_lazy("maximum failures"),
        required=False,
        min_value=1,
        help_text=gettext_lazy(
            "Failed runs in a row after which the schedule is disabled; retries do not count. "
            "Empty: no limit."
        ),
    )
    max_runtime = SecondsField(
        label=gettext_lazy("maximum run time"),
        fraction=True,
        help_text=gettext_lazy(
            "A run that takes longer is reported, not stopped. Empty: no limit."
        ),
    )

    notify = forms.ChoiceField(
        label=gettext_lazy("alarms"),
        required=False,
        initial="yes",
        choices=[
            ("yes", gettext_lazy("send alarms about this schedule")),
            ("no", gettext_lazy("send no alarms; clears the fields below")),
        ],
        help_text=gettext_lazy("For all receivers of this project, such as mail."),
    )
    notify_failures = forms.IntegerField(
        label=gettext_lazy("failures before an alarm"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("Failed runs in a row. Empty: the first one sends an alarm."),
    )
    notify_late_after = SecondsField(
        label=gettext_lazy("late after"),
        fraction=True,
        help_text=gettext_lazy("A run this late sends an alarm. Empty: the setting LATE_AFTER."),
    )
    notify_margin = SecondsField(
        label=gettext_lazy("grace period of monitors"),
        fraction=True,
        help_text=gettext_lazy(
            "How long Healthchecks or Sentry wait for a run before they alert. Empty: "
            "their default."
        ),
    )
    notify_by_hand = forms.BooleanField(
        label=gettext_lazy("also send alarms about manual runs"), required=False
    )

    tags = forms.CharField(
        label=gettext_lazy("tags"),
        required=False,
        help_text=gettext_lazy("Words to find the schedule by, separated by spaces."),
    )

    job_timeout = SecondsField(
        label=gettext_lazy("timeout"),
        help_text=gettext_lazy("A job that runs longer fails. -1: no limit. Empty: the queue's."),
    )
    result_ttl = SecondsField(
        label=gettext_lazy("keep results"),
        help_text=gettext_lazy("-1: forever. 0: not at all. Empty: the queue's."),
    )
    failure_ttl = SecondsField(
        label=gettext_lazy("keep failures"),
        help_text=gettext_lazy("-1: forever. 0: not at all. Empty: RQ's, a year."),
    )
    ttl = SecondsField(
        label=gettext_lazy("queue time limit"),
        help_text=gettext_lazy("A job that waits longer in its queue is dropped. Empty: no limit."),
    )
    at_front = forms.BooleanField(label=gettext_lazy("at the front of the queue"), required=False)
    retry_max = forms.IntegerField(
        label=gettext_lazy("retries"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("After a failure. Empty: none."),
    )
    retry_intervals = IntervalsField(
        label=gettext_lazy("retry delays"),
        help_text=gettext_lazy("Seconds, or with a unit, separated by commas: 10, 1m, 5m."),
    )
    on_success = forms.CharField(
        label=gettext_lazy("after success"),
        required=False,
        widget=SuggestingInput(allowed_functions),
        help_text=gettext_lazy("A callback function for RQ, optionally followed by its timeout."),
    )
    on_failure = forms.CharField(
        label=gettext_lazy("after a failure"),
        required=False,
        widget=SuggestingInput(allowed_functions),
    )
    on_stopped = forms.CharField(
        label=gettext_lazy("when stopped"),
        required=False,
        widget=SuggestingInput(allowed_functions),
    )
    description = forms.CharField(
        label=gettext_lazy("description"),
        required=False,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text=gettext_lazy("RQ's description of each job. Empty: the call."),
    )
    meta = JsonField(
        dict,
        label=gettext_lazy("meta"),
        initial=dict,
        help_text=gettext_lazy("A JSON object stored with each job."),
    )

    def clean_func_name(self) -> str:
        """A new one must be on the allow-list and importable."""
        name: str = self.cleaned_data["func_name"]
        if self.stored is None or self.stored.func_name != name:
            self._allowed(name)
        return name

    def clean_catch_up(self) -> str:
        return self.cleaned_data["catch_up"] or "latest"

    def clean_catch_up_limit(self) -> int:
        return self.cleaned_data["catch_up_limit"] or 100

    def clean_overlap(self) -> str:
        return self.cleaned_data["overlap"] or "allow"

    def clean_notify(self) -> str:
        return self.cleaned_data["notify"] or "yes"

    def clean_on_success(self) -> str:
        return self._clean_callback("on_success")

    def clean_on_failure(self) -> str:
        return self._clean_callback("on_failure")

    def clean_on_stopped(self) -> str:
        return self._clean_callback("on_stopped")

    def _clean_callback(self, name: str) -> str:
        value: str = self.cleaned_data[name]
        # This user is not responsible for one that a program stored and that is left as it is.
        if value and not (self.stored and self.stored.job_options.get(name) == value):
            self._allowed(value.partition(" ")[0])
        return value

    def _allowed(self, name: str) -> Callable[..., Any]:
        try:
            return allowed_function(name)
        except FunctionNotAllowedError as error:
            raise ValidationError(str(error), code="not_allowed") from None
        except InvalidScheduleError as error:
            raise ValidationError(str(error)) from None

    def check_call(self, cleaned: dict[str, Any]) -> None:
        """Show an error if the function does not take the arguments."""
        if not {*RUN_FIELDS}.intersection(self.changed_data):
            return
        try:
            function = self._allowed(cleaned["func_name"])
            check_call(function, cleaned["args"], cleaned["kwargs"])
        except ValidationError as error:
            self.add_error("func_name", error)
        except InvalidScheduleError as error:
            named = "keyword" in str(error).partition(";")[0]
            self.add_error("kwargs" if named else "args", ValidationError(str(error)))
