"""`Schedule`: a schedule in Redis as Django's admin sees it. No table, nothing in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, NoReturn

from django.db import NotSupportedError, models
from django.utils.translation import gettext_lazy as _

from .conf import as_django_has_it
from .core.exceptions import InvalidScheduleError
from .core.job import RedisCronJob
from .core.quoting import quoted_id
from .core.schedule.definition import State
from .core.store.pauses import Pause, ShownState
from .core.store.reading import Damaged
from .core.story.runs import Run
from .query import ScheduleQuerySet

if TYPE_CHECKING:
    _Text = models.Field[str, str]
    _Time = models.Field[datetime | None, datetime | None]


class Schedule(models.Model):
    """One schedule, read from Redis.

    Its fields are what the list filters and sorts by; all else is an attribute of `job`, the
    `RedisCronJob`, which is None if the hash cannot be read: `damaged` then says why.
    """

    id: _Text = models.CharField(_("id"), primary_key=True, max_length=255)
    func_name: _Text = models.CharField(_("function"), max_length=500)
    queue_name: _Text = models.CharField(_("queue"), max_length=255)
    interval: models.Field[int | None, int | None] = models.PositiveBigIntegerField(
        _("interval"), null=True, blank=True
    )
    cron: _Text = models.CharField(_("cron expression"), max_length=255, blank=True)
    timezone: _Text = models.CharField(_("time zone"), max_length=255, blank=True)
    enabled: models.Field[bool, bool] = models.BooleanField(_("enabled"), default=True)
    description: _Text = models.TextField(_("description"), blank=True)
    tags: _Text = models.TextField(_("tags"), blank=True)
    source: _Text = models.CharField(_("source"), max_length=20, editable=False)
    application: _Text = models.CharField(_("application"), max_length=255, editable=False)
    next_enqueue_time: _Time = models.DateTimeField(_("next run"), null=True, editable=False)
    latest_enqueue_time: _Time = models.DateTimeField(_("last run"), null=True, editable=False)
    created_at: _Time = models.DateTimeField(_("created at"), null=True, editable=False)
    updated_at: _Time = models.DateTimeField(_("updated at"), null=True, editable=False)

    objects = ScheduleQuerySet.as_manager()

    job: RedisCronJob | None = None
    damaged: str | None = None
    refused = False
    """Whether Redis refused to read it: then nothing is known to be wrong with it."""
    recent_runs: Sequence[Run] = ()
    """The newest runs, newest first, where a page has read them."""
    pause: Pause | None = None
    """Because of which its queue is paused, if a page has read that."""
    buttons: Sequence[tuple[str, str]] = ()
    """Text and address of what the list offers to do with it."""
    shown_zone: tzinfo | None = None
    """In which the list shows its times; None: in the reader's."""

    class Meta:
        managed = False
        # Uniqueness is checked with the base manager.
        base_manager_name = "objects"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions = (("run_schedule", "Can run schedule now"),)

    def __str__(self) -> str:
        return str(self.id)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save `job`; the fields of this object are only for reading."""
        if self.job is None:
            raise ValueError(f"schedule {quoted_id(self.id)} has no job to save")
        self.job.save()

    def _save_table(self, *args: Any, **kwargs: Any) -> NoReturn:
        """For `loaddata`, which passes over `save`. What `dumpdata` writes holds no schedule."""
        raise NotSupportedError("schedules live in Redis, a fixture cannot bring them there")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete it from Redis. Deleting what is not there does nothing."""
        deleted: tuple[int, dict[str, int]] = type(self).objects.filter(pk=self.pk).delete()
        return deleted

    @classmethod
    def of(cls, found: RedisCronJob | Damaged) -> Schedule:
        """What was read from Redis."""
        schedule = cls(**_values(found))
        schedule._state.adding = False
        if isinstance(found, Damaged):
            schedule.damaged, schedule.refused = found.reason, found.refused
        else:
            schedule.job = found
        return schedule

    @property
    def state(self) -> State:
        """`enabled`, `disabled`, `finished` or `error`."""
        return "error" if self.job is None else self.job.state

    def readable_job(self) -> RedisCronJob:
        """`job`. Raises `InvalidScheduleError` if the hash cannot be read."""
        if self.job is None:
            raise InvalidScheduleError(f"schedule {quoted_id(self.id)} cannot be read")
        return self.job

    @property
    def shown_state(self) -> ShownState:
        """The same, or `paused` if it would be enqueued but for its `pause`."""
        return "paused" if self.state == "enabled" and self.pause is not None else self.state

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Read it from Redis again. Raises `Schedule.DoesNotExist`."""
        fresh = type(self).objects.get(pk=self.pk)
        self.__dict__.update(fresh.__dict__)


_TEXTS = ("cron", "timezone", "description", "source", "application")


def _values(found: RedisCronJob | Damaged) -> dict[str, Any]:
    if isinstance(found, Damaged):
        texts = ("func_name", "queue_name", *_TEXTS)
        fields = found.fields or {}
        shown = {
            name: fields.get(name, "").encode(errors="replace").decode()
            for name in (*texts, "tags")
        }
        return {"id": found.id, **shown}
    values = {name: getattr(found, name, None) or "" for name in _TEXTS}
    values["source"] = values["source"] or "runtime"
    return {
        **values,
        "id": found.id,
        "func_name": found.func_name,
        "queue_name": found.queue_name,
        "tags": " ".join(found.tags),
        "interval": found.interval,
        "enabled": found.enabled,
        "next_enqueue_time": _moment(found.next_enqueue_time)
        if found.state in ("enabled", "error")
        else None,
        "latest_enqueue_time": _moment(found.latest_enqueue_time),
        "created_at": _moment(found.created_at),
        "updated_at": _moment(found.updated_at),
    }


def _moment(moment: datetime | None) -> datetime | None:
    return None if moment is None else as_django_has_it(moment)
