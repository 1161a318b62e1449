"""The scheduler: what it offers in code, and the life of its process from start to end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from redis import Redis
from redis.client import Pipeline
from rq.cron import CronScheduler
from rq.exceptions import StopRequested

from . import store
from .dispatch.dispatcher import Dispatcher
from .dispatch.lateness import LateAfter
from .dispatch.protocol import LockLostError
from .exceptions import InvalidScheduleError
from .job import RedisCronJob
from .notifying.notification import Notification
from .notifying.receivers import Receiver, as_receivers
from .notifying.threads import Notifying
from .plain import plain
from .process.inbox import Inbox, Signals
from .process.leading import Leading
from .process.lock import LONGEST_LOCK_TTL, SHORTEST_LOCK_TTL
from .process.logging_setup import RQ_LOGGER, handlers_kept, set_up_logging
from .process.outage import Outage
from .process.session import Session
from .process.standby import Standby
from .process.systemd import notify
from .quoting import quoted
from .schedule.missed import LATE_AFTER, SKIPS_KEPT
from .schedule.options import ScheduleArguments, by_name
from .store.actors import acting_as
from .store.connections import own_client
from .story.following import KEEP_RUNS, Following, check_keep_runs
from .timing.durations import Duration, positive_seconds

if TYPE_CHECKING:
    from typing_extensions import Unpack


Receivers = Iterable[Receiver | Callable[[Notification], object]]


class RedisCronScheduler(CronScheduler):
    """Enqueues the schedules that live in Redis; one such process leads at a time.

    `connection`: the Redis that holds the schedules and the queues. `logging_level`: for a process
    that configured no logging itself. `name`: unique among schedulers; by default host, PID and a
    random suffix. `lock_ttl`: seconds after which another scheduler may take over from one that
    died. `max_sleep_interval`: longest delay before a change is noticed if Pub/Sub fails.
    `keep_runs`: how many runs of each schedule are kept when they have ended, 0 for none.
    `late_after`: by how much a run must be late to give an alarm, unless its schedule says so.
    `receivers`: who is told what happens to schedules while this scheduler leads, each a `Receiver`
    or a function of one `Notification`; or a function that returns them, which `start` calls.

    `sync`, if set, is called when this scheduler becomes the leader, when it receives SIGHUP, and
    when Redis came back without its data: it is to register what a program declares.
    """

    sync: Callable[[], object] | None = None

    application: str | None = None
    """The project of this process, among those that share one Redis; None if it is not known."""

    def __init__(
        self,
        connection: Redis,
        logging_level: str | int = logging.INFO,
        name: str = "",
        lock_ttl: Duration = 120,
        max_sleep_interval: Duration = 60.0,
        keep_runs: int = KEEP_RUNS,
        late_after: Duration = LATE_AFTER,
        receivers: Receivers | Callable[[], Receivers] = (),
    ) -> None:
        lock_seconds = positive_seconds("lock_ttl", lock_ttl)
        if not SHORTEST_LOCK_TTL <= lock_seconds <= LONGEST_LOCK_TTL:
            raise ValueError(
                f"lock_ttl must be a positive number of seconds between {SHORTEST_LOCK_TTL} and "
                f"{LONGEST_LOCK_TTL}, got {quoted(lock_ttl)}"
            )
        sleep_seconds = positive_seconds("max_sleep_interval", max_sleep_interval)
        late_seconds = positive_seconds("late_after", late_after)
        try:
            keep_runs = check_keep_runs(keep_runs)
        except ValueError as error:
            raise ValueError(f"keep_runs must be {error}") from None
        self._load_receivers = receivers if callable(receivers) else None
        told = () if callable(receivers) else as_receivers(receivers)
        client = own_client(connection)
        set_up_logging(logging_level)
        with handlers_kept(logging.getLogger(RQ_LOGGER)):
            super().__init__(connection, logging_level=logging_level, name=plain(name))
        self.log = logging.getLogger(__name__)
        self.max_sleep_interval = sleep_seconds
        self._session = Session(client, self.name, lock_seconds, self.save)
        self._dispatcher = Dispatcher(client, self.application, max(SKIPS_KEPT, keep_runs))
        self._dispatcher.memory.late_after = LateAfter(late_seconds)
        self._following = Following(client, keep_runs)
        self._notifying = Notifying(client, self.name, told, lambda: self._session.held_token)
        self._prepare_start()
        self._config_ids: Counter[str] | None = None

    # Schedules

    def register(  # type: ignore[override]
        self,
        func: Callable[..., Any] | str,
        queue_name: str,
        id: str = "",
        *positional: Any,
        actor: str | None = None,
        **arguments: Unpack[ScheduleArguments],
    ) -> RedisCronJob:
        """Create the schedule `id`, or edit it: afterwards all its fields are as given here.

        `func` may also be a dotted name. All else is described in `ScheduleArguments`; `args` to
        `enabled` may also stand behind the id, in that order. `actor`: who changes it, for the log
        of changes; see `acting_as`.

        An edit keeps `created_at`, and `enabled` if it is not given. It takes effect at once, in
        whatever process the scheduler runs. Raises `InvalidScheduleError` and writes nothing if
        the schedule could not run.
        """
        arguments = by_name(positional, arguments)
        id = id or self._id_from_config(func, arguments.get("name", ""))
        job = RedisCronJob.requested(func, queue_name, id, arguments, self.connection)
        self.register_many([job], actor=actor)
        return job

    def register_many(self, jobs: Sequence[RedisCronJob], *, actor: str | None = None) -> None:
        """Create or edit many schedules in few round trips, each one whole.

        `enabled` of a stored schedule is kept if the job's `enabled_given` is False.
        """
        with acting_as(actor):
            store.define_many(jobs, self.connection)

    def load_config_from_file(self, config_path: str) -> None:
        """Register what a stock RQ cron file declares.

        Its jobs have no ids: each gets its RQ name, by default the name of its function; if a file
        repeats a name, `#2`, `#3`, ... are appended.
        """
        self._config_ids = Counter()
        try:
            super().load_config_from_file(config_path)
        finally:
            self._config_ids = None

    def _id_from_config(self, func: Callable[..., Any] | str, name: str) -> str:
        if self._config_ids is None:
            raise InvalidScheduleError("id is needed, got none; give the schedule a stable id")
        base = name or (func if isinstance(func, str) else f"{func.__module__}.{func.__qualname__}")
        self._config_ids[base] += 1
        count = self._config_ids[base]
        return base if count == 1 else f"{base}#{count}"

    def get_jobs(self) -> list[RedisCronJob]:  # type: ignore[override]
        """The enabled schedules, by queue and id. Those that cannot be read are logged by name."""
        return self._readable(store.list_schedules(self.connection, enabled_only=True))

    def get_all_jobs(self) -> list[RedisCronJob]:
        """All schedules, disabled ones too. Those that cannot be read are logged by name."""
        return self._readable(store.list_schedules(self.connection))

    def _readable(self, listing: store.Listing) -> list[RedisCronJob]:
        for damaged in listing.damaged:
            what = "cannot be read" if damaged.refused else "is damaged"
            self.log.warning("Schedule %r %s: %s", damaged.id, what, damaged.reason)
        return listing.jobs

    def save_jobs_data(self) -> None:
        """Does nothing: each schedule is stored separately, so there is no list to save."""

    # A pass

    def enqueue_jobs(self) -> list[RedisCronJob]:  # type: ignore[override]
        """Enqueue what is due and return it; nothing if this scheduler does not lead.

        Also looks at some of the jobs in flight, so that the outcomes of a program that calls this
        itself are recorded.
        """
        enqueued: list[RedisCronJob] = []
        with suppress(LockLostError):
            self._leading.begin_pass()
            for batch in self._dispatcher.enqueue_due(self._session.token, self.lock_ttl):
                enqueued += cast("list[RedisCronJob]", [job.snapshot() for job in batch])
            self._leading.end_pass()
            if not self._following.pause:
                self._following.step(self._session.token)
        return enqueued

    def calculate_sleep_interval(self) -> float:
        """Seconds until the next schedule is due, at most `max_sleep_interval`."""
        longest = self._leading.seconds_until_due(self.max_sleep_interval)
        return self._dispatcher.seconds_until_due(longest)

    # The process

    def start(self, burst: bool = False, standby: bool = False) -> None:
        """Lead until asked to stop; with `burst`, one pass.

        In the main thread SIGINT and SIGTERM ask it to stop, in any other only `stop()` does. Redis
        may become unavailable meanwhile. With `standby` it waits while another scheduler leads, and
        again if one takes over from it; without, it raises `SchedulerLockedError` then.
        """
        self.log.info("Scheduler %s: starting", self.name)
        if self._load_receivers is not None:
            self._notifying.use(as_receivers(self._load_receivers()))
            self._load_receivers = None
        self._session.tell_of_reign(not burst)
        try:
            with Signals(self._inbox):
                self._lead_and_sign_off(burst=burst, standby=standby)
        finally:
            self._prepare_start()
        self.log.info("Scheduler %s: shutdown complete", self.name)

    def _prepare_start(self) -> None:
        """Make what one `start` works with; it may be asked to stop before it begins."""
        session, inbox, outage = self._session, Inbox(), Outage(self.log, self.name)
        self._inbox = inbox
        self._standby = Standby(self, session, inbox, outage)
        self._leading = Leading(
            *(self, session, self._dispatcher, self._following, self._notifying),
            *(inbox, outage, self._standby),
        )

    def _lead_and_sign_off(self, *, burst: bool, standby: bool) -> None:
        try:
            if standby:
                self._standby.wait_to_lead()
            else:
                self._standby.lead_at_once()
            if not self._inbox.stopping:
                self._leading.lead(burst=burst, standby=standby)
        finally:
            notify("STOPPING=1")
            self._standby.sign_off()

    def stop(self) -> None:
        """Ask a running scheduler to stop after the current batch; from any thread or signal."""
        self._inbox.stop()

    def ask_to_sync(self) -> None:
        """Ask a running scheduler to call `sync` when it leads; from any thread or signal."""
        self._inbox.ask_to_sync()

    def keep_alive(self) -> None:
        """Call this between the steps of a long `sync`, so that the scheduler counts as alive.

        Sends the heartbeat and the notice to systemd's watchdog when they are due. Raises an
        exception, which must end `sync`, if the scheduler was asked to stop or lost the lock.
        """
        self._leading.keep_alive()

    # The lock and RQ's registry of schedulers

    @property
    def lock_ttl(self) -> float:
        """Seconds after which another scheduler may take over after a crash."""
        return self._session.lock_ttl

    @lock_ttl.setter
    def lock_ttl(self, seconds: float) -> None:
        self._session.lock_ttl = seconds

    @property
    def keep_runs(self) -> int:
        """How many runs of each schedule are kept when they have ended."""
        return self._following.keep_runs

    @property
    def late_after(self) -> float:
        """Seconds by which a run must be late to give an alarm, unless its schedule says so."""
        return self._dispatcher.memory.late_after.default

    @property
    def role(self) -> str:
        """`leader` if this scheduler took the lock, else `standby`."""
        return self._session.role

    def register_birth(self) -> None:
        """Take the lock and enter RQ's registry of schedulers.

        Raises `SchedulerLockedError`, a `RuntimeError`, before anything is registered if another
        scheduler holds the lock.
        """
        self._session.lead()

    def enter_registry(self) -> None:
        """Tell RQ's registry that this scheduler is alive, as leader or standby."""
        self._session.enter_registry()

    def register_death(self, pipeline: Pipeline | None = None) -> None:
        """Leave RQ's registry of schedulers and release the lock, if it is still ours."""
        self._session.leave(pipeline)

    def heartbeat(self) -> None:
        """Extend the lock and tell RQ's registry that this scheduler is alive.

        Raises `StopRequested` if the lock is no longer ours.
        """
        if not self._session.heartbeat():
            raise StopRequested

    def to_dict(self) -> dict[str, Any]:
        """RQ's fields of a scheduler, and its role, process and project.

        `cron_jobs`, which RQ's own pages show, has the 1,000 schedules that run next, if it leads.
        """
        return {
            **super().to_dict(),
            "application": self.application or "",
            **self._session.fields(),
        }
