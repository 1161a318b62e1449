"""Changes of a schedule: its fields in words, which of them differ, and Django's log of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.forms import BooleanField, Field
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override
from redis.exceptions import ResponseError

from ..conf import local
from ..core.job import RedisCronJob
from ..core.schedule.codec import EDITABLE_FIELDS
from ..core.sensitive import mask_field
from ..core.store.actors import OUTSIDE, acting_as
from ..core.story.changes import LoggedChange, read_changes
from ..queues import main_connection
from .form_fields.job import JobForm
from .form_fields.timing import TimingForm

_OTHER_LABELS = {
    "id": gettext_lazy("id"),
    "name": gettext_lazy("label"),
    "enabled": gettext_lazy("enabled"),
    "retry": gettext_lazy("retries"),
    "webhooks": gettext_lazy("webhooks"),
}
_LONGEST_VALUE = 200

BY_USER = "admin:"
"""What the actor of a change in the admin begins with; the name of the user follows."""


def acting_as_user(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view whose changes of schedules are logged as `admin:USERNAME`."""

    @wraps(view)
    def acting(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user: Any = request.user
        with acting_as(f"{BY_USER}{user.get_username()}"):
            return view(request, *args, **kwargs)

    return acting


def label(name: str) -> str:
    """The name of a field of the form or of the hash."""
    field = _form_field(name)
    return str(field.label if field else _OTHER_LABELS.get(name, name))


def display_value(name: str, text: str) -> str:
    """A value of the hash, cut, and masked if it is sensitive."""
    if name == "enabled" or isinstance(_form_field(name), BooleanField):
        return _("yes") if text == "1" else _("no")
    if name == "notify" and text in ("", "0"):
        return _("no") if text else _("yes")
    text = mask_field(name, text)
    return Truncator(text).chars(_LONGEST_VALUE) if text else _("none")


def definition(job: RedisCronJob) -> dict[str, str]:
    """All fields that people may change, as texts."""
    return {**job.definition(), "enabled": str(int(job.enabled))}


def changed_fields(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The fields that differ between two definitions, the most important ones first."""
    return [name for name in EDITABLE_FIELDS if before.get(name, "") != after.get(name, "")]


def change_message(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """The message for `log_change`: each changed field with its old and its new value."""
    names = changed_fields(before, after)
    if not names:
        return []
    with override(None):  # the log is translated when it is read
        fields = [_change(name, before, after) for name in names]
    return [{"changed": {"fields": fields}}]


def logged_changes(id: str) -> list[LoggedChange]:
    """What was changed of a schedule, newest first; nothing if the site's user may not read it."""
    try:
        return read_changes(id, main_connection())
    except ResponseError:
        return []


def who_and_when(change: LoggedChange) -> str:
    """For people: who made a change, and its local time."""
    time = localize(local(change.at))
    return _("%(user)s, %(time)s") % {"user": actor_name(change), "time": time}


def actor_name(change: LoggedChange) -> str:
    """Who made a change: a user's name, or what a program is called."""
    return _("another program") if change.what == OUTSIDE else change.actor.removeprefix(BY_USER)


def _change(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    old, new = (display_value(name, each.get(name, "")) for each in (before, after))
    return f"{label(name)}: {old} → {new}"


def _form_field(name: str) -> Field | None:
    return JobForm.base_fields.get(name) or TimingForm.base_fields.get(name)
