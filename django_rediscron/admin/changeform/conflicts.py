"""Concurrent edits: what the second user is shown of the changes of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from django.core import signing
from django.utils.crypto import salted_hmac
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from rq.utils import now

from ...core.job import RedisCronJob
from ...core.schedule.texts import parse_time
from ...core.sensitive import mask_field
from ...core.story.changes import CREATED, LoggedChange
from ...core.timing.cron_times import utc_text
from ..log import (
    actor_name,
    changed_fields,
    definition,
    display_value,
    label,
    logged_changes,
    who_and_when,
)

_SALT = "django_rediscron.base"

_LONGEST = 1000
"""Characters of a value that travel with the form; longer ones are cut and get a digest."""

_CUT = "\0hmac:"
"""Between what is left of a value that was cut or masked and its digest, which tells whether it was
changed; no field contains a zero byte."""


@dataclass(frozen=True)
class LoadedSchedule:
    """A schedule as it was when the form was loaded; it travels with the form, signed."""

    id: str
    version: str
    at: str
    fields: Mapping[str, str]
    """The definition, long and sensitive values as `brief` leaves them."""

    @classmethod
    def of(cls, job: RedisCronJob) -> LoadedSchedule:
        return cls(job.id, job.version, utc_text(now()), brief_definition(job))

    @classmethod
    def load(cls, text: str, id: str) -> LoadedSchedule | None:
        """What `dump` wrote for this schedule; None for anything else."""
        try:
            loaded = cls(**signing.loads(text, salt=_SALT))
        except (signing.BadSignature, TypeError):
            return None
        return loaded if loaded.id == id else None

    def dump(self) -> str:
        facts = {"id": self.id, "version": self.version, "at": self.at, "fields": self.fields}
        return signing.dumps(facts, salt=_SALT, compress=True)

    def job(self, stored: RedisCronJob) -> RedisCronJob:
        """The schedule as it was; values that do not travel whole are those of `stored`."""
        current = definition(stored)
        texts = {
            name: current.get(name, "") if _CUT in text else text
            for name, text in self.fields.items()
        }
        return RedisCronJob.restore({"id": self.id, **texts})

    def replaced(self, stored: RedisCronJob) -> dict[str, str]:
        """The values that do not travel whole and were replaced since, as `brief` leaves them."""
        texts = brief_definition(stored)
        return {
            name: text
            for name, text in self.fields.items()
            if _CUT in text and text != texts.get(name)
        }

    @property
    def loaded_at(self) -> datetime:
        return parse_time(self.at)


def brief(name: str, text: str) -> str:
    """The value of a field; its beginning and its digest if it is too long to travel, or holds
    something sensitive, which is masked."""
    masked = mask_field(name, text)
    if len(masked) <= _LONGEST and masked == text:
        return text
    return f"{masked[:_LONGEST]}{_CUT}{_digest(masked)}{_digest(text)}"


def is_brief_of(brief_text: str, name: str, text: str) -> bool:
    """Whether `brief` made that of this value, or of one that is masked in the same way."""
    beginning, is_cut, digests = brief_text.partition(_CUT)
    if not is_cut:
        return beginning == text
    masked = mask_field(name, text)
    return beginning == masked[:_LONGEST] and digests.startswith(_digest(masked))


def _digest(text: str) -> str:
    # with a key, so that nobody can guess a short secret from it
    return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()


def brief_definition(job: RedisCronJob) -> dict[str, str]:
    return {name: brief(name, text) for name, text in definition(job).items()}


@dataclass(frozen=True)
class Difference:
    """One field that somebody else changed."""

    field: str
    old: str
    new: str
    mine: str | None
    """The value that this user wants; None if they did not change it."""
    who: str


class Conflict:
    """What changed since the form was loaded, and by whom.

    `mine` is the definition that this user wanted to save, from `brief_definition`.
    """

    def __init__(
        self, loaded: LoadedSchedule, stored: RedisCronJob, mine: Mapping[str, str]
    ) -> None:
        before, after = loaded.fields, brief_definition(stored)
        since = loaded.loaded_at
        changes = list(takewhile(lambda each: each.at > since, logged_changes(stored.id)))
        self.who = _names(changes)
        self.differences = [
            Difference(
                field=label(name),
                old=_displayed(name, before),
                new=_displayed(name, after),
                mine=_wanted(name, before, after, mine),
                who=_who(name, changes),
            )
            for name in changed_fields(before, after)
        ]

    def message(self) -> SafeString:
        """The text for the user, with all values escaped."""
        if not self.differences:
            text = _("%(who)s saved this schedule while you had the form open; save again.")
            return format_html("{}", text % {"who": self.who})
        text = _("While you had the form open, %(who)s changed this schedule. Nothing was saved.")
        return format_html(
            '{}<ul class="conflict">{}</ul>{}',
            text % {"who": self.who},
            format_html_join("", "<li>{}</li>", ((_line(each),) for each in self.differences)),
            _(
                "The form below shows these changes, and yours over them. Save again to apply "
                "yours, or leave the page to keep the schedule as it is now."
            ),
        )


def _line(difference: Difference) -> SafeString:
    text = format_html(
        "<strong>{}</strong>: <del>{}</del> → <ins>{}</ins> ({})",
        difference.field,
        difference.old,
        difference.new,
        difference.who,
    )
    if difference.mine is None:
        return text
    return format_html("{}; {} <strong>{}</strong>", text, _("yours:"), difference.mine)


def _wanted(
    name: str, before: Mapping[str, str], after: Mapping[str, str], mine: Mapping[str, str]
) -> str | None:
    wanted = mine.get(name, "")
    if wanted in (before.get(name, ""), after.get(name, "")):
        return None
    return _displayed(name, mine)


def _displayed(name: str, texts: Mapping[str, str]) -> str:
    return display_value(name, texts.get(name, "").partition(_CUT)[0])


def _names(changes: Sequence[LoggedChange]) -> str:
    names = list(dict.fromkeys(map(actor_name, changes)))
    return ", ".join(names) if names else _("a program")


def _who(name: str, changes: Sequence[LoggedChange]) -> str:
    """Who changed a field last."""
    for change in changes:
        if name in change.fields or change.what == CREATED:
            return who_and_when(change)
    return _("a program")
