"""What a schedule says: what is to run, and when."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from redis import Redis
from rq.cron import CronJob
from rq.utils import now

from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from ..timing.cron_times import UTC
from ..timing.description import describe
from ..timing.durations import Duration, as_seconds
from ..timing.recurrence import Recurrence
from ..timing.zones import find_zone
from . import checks as check
from .codec import DEFAULT_RESULT_TTL
from .dotted_names import function_name, resolve_function
from .option_checks import CatchUp, Overlap, check_moment
from .options import Option, ScheduleOptions, check_options, set_options
from .rq_options import CALLBACKS, make_callback
from .upcoming import upcoming

if TYPE_CHECKING:
    from typing_extensions import Unpack

State = Literal["enabled", "disabled", "finished", "error"]

FUNCTION_FIELDS = ("func_name", *CALLBACKS)
"""Fields that hold dotted names."""

Times = tuple["datetime | None", "datetime | None"]


class Definition(CronJob):
    """A schedule as such, wherever it is kept: `RedisCronJob` without what is about Redis."""

    timezone = Option["str | None"]("timezone")
    start_at = Option["datetime | None"]("start_at")
    end_at = Option["datetime | None"]("end_at")
    max_runs = Option["int | None"]("max_runs")
    jitter = Option[float]("jitter")
    misfire_grace = Option["float | None"]("misfire_grace")
    catch_up = Option[CatchUp]("catch_up")
    catch_up_limit = Option[int]("catch_up_limit")
    overlap = Option[Overlap]("overlap")
    time_options: dict[str, Any]  # those of them that are not defaults

    local_zone: ZoneInfo | None = None
    """Of the application that declares it, where that is another one than that of this process."""

    _loaded_times: Times  # latest and next, as they were loaded

    def __init__(
        self,
        id: str,
        queue_name: str,
        func: Callable[..., Any] | str | None = None,
        func_name: str | None = None,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        interval: Duration | None = None,
        cron: str | None = None,
        job_timeout: Duration | None = None,
        result_ttl: Duration | None = DEFAULT_RESULT_TTL,
        ttl: Duration | None = None,
        failure_ttl: Duration | None = None,
        meta: dict[str, Any] | None = None,
        connection: Redis | None = None,
        latest_enqueue_time: datetime | None = None,
        next_enqueue_time: datetime | None = None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        enabled: bool = True,
        *,
        webhooks: Sequence[Any] | None = None,
        name: str = "",
        **options: Unpack[ScheduleOptions],
    ) -> None:
        self._prepare()
        self.id = id
        self.connection = connection
        self.queue_name = queue_name
        if func is not None:
            self.func = func
        elif func_name:
            self.func_name = func_name
        else:
            raise InvalidScheduleError("either func or func_name is needed, got neither")
        self.name = name or id
        self.args = () if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.interval = as_seconds(interval)
        self.cron = cron or None
        self.job_options = {
            "job_timeout": job_timeout,
            "result_ttl": result_ttl,
            "ttl": ttl,
            "failure_ttl": failure_ttl,
            "meta": meta,
            "webhooks": list(webhooks) if isinstance(webhooks, tuple) else webhooks or None,
        }
        set_options(self, options)
        self.latest_enqueue_time = latest_enqueue_time
        self.next_enqueue_time = next_enqueue_time
        self.created_at = created_at
        self.updated_at = updated_at
        self.enabled = enabled
        self.validate()
        # Like RQ's, a cron job knows its next time from the start, an interval is due at once.
        if self.cron and next_enqueue_time is None:
            self.next_enqueue_time = computed = self.get_next_enqueue_time()
            self._loaded_times = (None, computed)

    def _prepare(self) -> None:
        self._func: Callable[..., Any] | None = None
        self.revision = 0
        self.last_error: str | None = None
        self.last_error_at: datetime | None = None
        self.runs = 0
        self.finished_at: datetime | None = None
        self._loaded_times = (None, None)
        self.enabled_given = True  # False: a stored schedule keeps its own state

    @property
    def schedule(self) -> str:
        """When it runs, for people: the cron expression with its time zone, or `every 10s`."""
        if self.cron and self.timezone:
            return f"{self.cron} ({self.timezone})"
        return self.cron or f"every {self.interval}s"

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone in which its cron expression is read; None for the process's local one."""
        return find_zone(self.timezone) if self.timezone else self.local_zone

    @property
    def state(self) -> State:
        """`disabled`, `finished` (nothing is left to run), `error` (see `last_error`) or `enabled`.

        The first of these that is the case.
        """
        if not self.enabled:
            return "disabled"
        if self.finished_at is not None:
            return "finished"
        return "enabled" if self.last_error is None else "error"

    @property
    def func(self) -> Callable[..., Any]:
        """The function, imported when it is asked for.

        Raises `InvalidScheduleError` where it cannot be imported.
        """
        if self._func is None:
            self._func = resolve_function(self.func_name)
        return self._func

    @func.setter
    def func(self, func: Callable[..., Any] | str | None) -> None:
        if isinstance(func, str):
            self.func_name = func
            return
        self.func_name = function_name(func)
        self._func = func

    @property
    def func_name(self) -> str:
        """The dotted name of the function."""
        return self._func_name

    @func_name.setter
    def func_name(self, func_name: str) -> None:
        self._func_name = func_name
        self._func = None

    def recurrence(self, origin: datetime | None = None) -> Recurrence:
        """Its occurrences; where an interval has no `start_at`, counted from `origin`."""
        return Recurrence(self.interval, self.cron, self.zone, self.start_at, self.end_at, origin)

    def get_next_enqueue_time(self) -> datetime | None:  # type: ignore[override]
        """The next occurrence after the latest one; without one, from now. None for none."""
        self._check_when()
        recurrence = self.recurrence(self.latest_enqueue_time)
        if self.latest_enqueue_time is not None:
            return recurrence.next(self.latest_enqueue_time)
        return recurrence.first(now(), None, retimed=False)

    def upcoming(self, number: int, after: datetime | None = None) -> Iterator[datetime]:
        """The next runs, at most `number`: when the scheduler is to enqueue them, jitter included.

        With `after` (an aware datetime) those after that moment; without, the first one is the next
        enqueue time, or, where that has passed, what `catch_up` makes of it. Aware datetimes in the
        time zone of the schedule, without one in UTC. Ends where nothing is left to run: after
        `end_at`, after `max_runs`, and at once where the schedule is disabled or finished. If
        `jitter` is thousands of times longer than the period, the times are approximate.
        """
        if type(number) is not int or number < 0:
            raise ValueError(f"number must be a whole number from 0, got {quoted(number)}")
        after = check_moment("after", after)
        self._check_when()
        zone = self.zone or UTC
        times = islice(upcoming(self, after, now()), number)
        return (time.astimezone(zone) for time in times)

    def describe(self) -> str:
        """When it runs, in plain English: `Every 5 minutes, Monday to Friday (Europe/Paris)`."""
        return describe(self.interval, self.cron, self.timezone, self.max_runs)

    def validate(self) -> None:
        """Raise `InvalidScheduleError` for anything that could not be stored, read back and run.

        The function is imported only where `func_name` was changed and `save()` is called.
        """
        check.check_schedule(self)

    def _check_when(self) -> None:
        """What was changed on this object and not saved may be anything."""
        check.check_timing(self.interval, self.cron, stored=True)
        check_options(self)
        check.check_times(self)

    def import_functions(self, fields: Container[str]) -> None:
        """Raise `InvalidScheduleError` where a function of these fields cannot be imported."""
        if "func_name" in fields:
            self.func  # noqa: B018 - raises
        for name in CALLBACKS:
            if name in fields:
                make_callback(self.job_options.get(name), name)
