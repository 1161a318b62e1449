"""What the package rq-scheduler wrote to Redis."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import time_machine
from redis import Redis
from rq import Callback
from rq_scheduler import Scheduler
from rq_scheduler.utils import get_next_scheduled_time

from django_rediscron import RedisCronJob
from django_rediscron.core.store import fetch_many
from django_rediscron.core.timing.clock_rules import known_transitions
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.core.timing.zones import find_zone
from django_rediscron.migrating.found import Found, Maps
from django_rediscron.migrating.local_time import in_zone
from django_rediscron.migrating.rq_scheduler import JOBS, read
from tests.tasks import echo, fail
from tests.test_cli import verbs_on

from .moving import AUTUMN, BERLIN, SPRING, job_of, month, told_by

pytestmark = pytest.mark.filterwarnings("ignore")  # it calls what Python has deprecated

NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


@pytest.fixture
def theirs(connection: Redis) -> Scheduler:
    return Scheduler("reports", connection=connection)


def only(connection: Redis, timezone: str = BERLIN) -> Found:
    [found] = read(connection, Maps(), timezone=timezone)
    return found


def reason(found: Found) -> str:
    assert found.options is None
    return found.notes[-1].text


def at(moment: datetime) -> time_machine.travel:
    """The clock stands at this moment; a datetime would also set the local zone."""
    return time_machine.travel(moment.timestamp(), tick=False)


def ahead(**distance: float) -> datetime:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return now + timedelta(**distance)


def test_a_cron_string_is_carried_over_with_the_options_of_its_job(
    connection: Redis, theirs: Scheduler, told: Any
) -> None:
    with in_zone(BERLIN):
        theirs.cron(
            "30 4 * * *",
            echo,
            args=["a", 1],
            kwargs={"b": {"c": None}},
            id="daily",
            queue_name="default",
            timeout=77,
            ttl=3600,
            meta={"team": "billing"},
            description="Send it",
            on_success=Callback("tests.tasks.echo", 9),
            on_failure=Callback("tests.tasks.echo"),
            at_front=True,
        )
    before = connection.dump("rq:scheduler:scheduled_jobs"), connection.hgetall("rq:job:daily")
    facts = told_by(told, "rq-scheduler", "--timezone", BERLIN, "--write")["daily"]
    assert (facts["outcome"], facts["times"]["same"]) == ("created", True)
    job = RedisCronJob.fetch("daily", connection)
    assert (job.cron, job.timezone, job.queue_name) == ("30 4 * * *", BERLIN, "default")
    assert (job.func_name, job.args, job.kwargs) == (
        "tests.tasks.echo",
        ("a", 1),
        {"b": {"c": None}},
    )
    options = job.job_options
    assert (options["job_timeout"], options["ttl"], options["result_ttl"]) == (77, 3600, 500)
    assert (options["meta"], options["description"]) == ({"team": "billing"}, "Send it")
    assert options["on_success"] == "tests.tasks.echo 9"
    assert (options["on_failure"], options["at_front"]) == ("tests.tasks.echo", True)
    assert "kept for ever" in facts["notes"][0]["text"]

    again = told_by(told, "rq-scheduler", "--timezone", BERLIN, "--write")
    assert again["daily"]["outcome"] == "unchanged"
    after = connection.dump("rq:scheduler:scheduled_jobs"), connection.hgetall("rq:job:daily")
    assert after == before


def test_an_interval_keeps_its_rhythm_and_what_is_left_of_its_repeats(
    connection: Redis, theirs: Scheduler
) -> None:
    first = ahead(hours=1)
    theirs.schedule(first, echo, interval=5400, repeat=4, result_ttl=60, id="often")
    found = only(connection)
    assert found.options is not None
    assert (found.options["interval"], found.options["start_at"]) == (5400, first)
    assert (found.options["max_runs"], found.options["result_ttl"]) == (4, 60)
    assert month(found, ahead()).is_same
    assert month(found, ahead()).there == [first + n * 1.5 * HOUR for n in range(4)]


def test_repeats_are_counted_down_as_the_scheduler_itself_does(
    connection: Redis, theirs: Scheduler
) -> None:
    theirs.schedule(ahead(minutes=-1), echo, interval=3600, repeat=2, id="twice")
    theirs.enqueue_jobs()
    [found] = read(connection, Maps(), timezone=BERLIN)
    assert found.options is not None
    assert found.options["max_runs"] == 1
    assert found.options["start_at"] > ahead(minutes=58)


def test_a_job_for_a_single_time_runs_once(connection: Redis, theirs: Scheduler, told: Any) -> None:
    moment = ahead(days=3)
    job = theirs.enqueue_at(moment, echo, "x", job_result_ttl=9)
    assert f"once, at {moment:%FT%TZ}, queue reports" in told("migrate", "rq-scheduler")
    [(id, facts)] = told_by(told, "rq-scheduler", "--write").items()
    assert id == f"tests.tasks.echo:{job.id[:8]}"
    assert (facts["name"], facts["times"]["same"]) == (job.id, True)
    ours = RedisCronJob.fetch(id, connection)
    assert [*ours.upcoming(5)] == [moment]
    assert (ours.args, ours.job_options["result_ttl"]) == (("x",), 9)


def test_what_is_past_or_overdue_is_told_with_a_remedy(
    connection: Redis, theirs: Scheduler
) -> None:
    theirs.enqueue_at(ahead(hours=-1), echo, job_id="past")
    theirs.schedule(ahead(hours=-1), echo, interval=7200, id="late")
    late, past = read(connection, Maps(), timezone=BERLIN)
    assert "is past" in reason(past)
    assert "was due at" in late.notes[-1].text
    assert {note.remedy for note in (late.notes[-1], past.notes[-1])} == {
        "let rq-scheduler enqueue it before you move: rqscheduler --burst"
    }
    assert month(late, ahead()).is_same


def test_changes_of_the_clocks_after_the_last_run_are_not_told(
    theirs: Scheduler, told: Any
) -> None:
    for repeat in (1, 3, None):
        theirs.cron("30 2 * * *", echo, repeat=repeat, id=f"{repeat}")
    found = told_by(told, "rq-scheduler", "--timezone", BERLIN)
    assert found["None"]["clock_changes"]
    distant = [id for id in ("1", "3") if found[id]["times"]["here"][-1] < _next_change()]
    assert not any(found[id]["clock_changes"] for id in distant)


def _next_change() -> str:
    zone = find_zone(BERLIN)
    begin = int(datetime.now(timezone.utc).timestamp())
    first = known_transitions(begin, begin + 366 * 86400, zone)[0]
    return utc_text(datetime.fromtimestamp(first, timezone.utc))


def test_what_cannot_be_carried_over_says_why(
    connection: Redis, theirs: Scheduler, told: Any
) -> None:
    theirs.cron("0 5 * * *", Instance().method, id="method")
    theirs.cron("0 5 * * *", echo, args=[object], id="object")
    theirs.cron("0 5 * * * 2099", echo, id="years")
    theirs.cron("0 5 13 * FRI", echo, id="friday")
    theirs.cron("0 5 * * *", echo, id="gone").delete()
    theirs.cron("0 5 * * *", echo, id="broken")
    connection.hset("rq:job:broken", "data", b"no pickle")
    theirs.cron("0 5 * * *", "tests.tasks.nothing", id="nothing")
    for name, value in (("interval", "x"), ("repeat", "x"), ("cron_string", 5)):
        job = theirs.cron("0 5 * * *", echo, id=f"odd-{name}")
        job.meta[name] = value
        job.save_meta()
    theirs.cron("0 5 * * *", echo, id="far")
    connection.zadd(JOBS, {"far": 1e15})
    theirs.cron("0 5 * * *", echo, id="fine")
    facts = told_by(told, "rq-scheduler", "--write", status=1)
    assert facts.pop("fine")["outcome"] == "created"
    for id, text in {
        "method": "method of an instance",
        "object": "must be JSON",
        "years": "names years",
        "friday": "must match there",
        "gone": "does not exist any more",
        "broken": "RQ cannot read the job",
        "nothing": "has no 'nothing'",
        "odd-interval": "cannot be read",
        "odd-repeat": "cannot be read",
        "odd-cron_string": "cannot be read",
        "far": "cannot be read",
    }.items():
        assert text in facts.pop(id)["error"]
    assert facts == {}
    assert set(fetch_many(["fine", "friday", "nothing"], connection)) == {"fine"}


class Instance:
    def method(self) -> None:
        pass


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    "cron",
    [
        "0 4 * * *",
        "15 9-17/2 * * mon-fri",
        "5 8 1-7 * mon",  # the first Monday: both must match
        "5 8 1,9,17,18,19,20,21 * mon-wed",
        "5 8 7,20,21 * sun,fri",
        "5 8 1-31 * fri",
        "5 8 */2 * 1-5/2",
        "0 12 L * *",
        "0 12 Z1-3 * ?",
        "0 12 * * L5",
        "30 0 6 * * 0-4 *",
        "@daily",
    ],
)
def test_all_times_of_a_month_are_the_same(
    connection: Redis, theirs: Scheduler, cron: str, local: bool, begin: datetime
) -> None:
    with in_zone(BERLIN), at(begin):
        theirs.cron(cron, echo, use_local_timezone=local)
    both = month(only(connection), begin)
    assert both.is_same, (both.only_there, both.only_here)


def test_times_that_the_clocks_skip_or_repeat_differ_and_are_told(
    connection: Redis, theirs: Scheduler
) -> None:
    with in_zone(BERLIN), at(SPRING):
        theirs.cron("30 2 * * *", echo)
    both = month(only(connection), SPRING)
    # Python 3.12 corrected what becomes of times that do not exist.
    hour = "01" if sys.version_info >= (3, 12) else "00"
    assert [f"{time:%F %T}" for time in both.only_there] == [f"2027-03-28 {hour}:30:00"]
    assert [f"{time:%F %T}" for time in both.only_here] == ["2027-03-28 01:00:00"]


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
def test_their_times_are_those_at_which_their_scheduler_enqueues(
    connection: Redis, theirs: Scheduler, begin: datetime
) -> None:
    """The real one, whose clock is set to the time of each job."""
    enqueued = []
    with in_zone(BERLIN), at(begin) as clock:
        theirs.cron("45 */3 * * *", echo, id="job")
        found = only(connection)
        while len(enqueued) < 200:
            clock.move_to(float(connection.zscore(theirs.scheduled_jobs_key, "job")))
            enqueued.append(datetime.now(timezone.utc))
            theirs.enqueue_jobs()
    assert found.times is not None
    assert found.times(begin, 200) == enqueued


def test_the_zone_is_that_of_the_process_whatever_use_local_timezone_says() -> None:
    with in_zone(BERLIN), at(NOON):
        times = [get_next_scheduled_time("0 18 * * *", each) for each in (True, False)]
        assert [time.astimezone(timezone.utc) for time in times] == [NOON + 4 * HOUR] * 2


def test_a_missing_package_is_named(
    connection: Redis, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rq_scheduler.utils", None)
    with pytest.raises(Exception, match="pip install rq-scheduler"):
        read(connection, Maps())


def test_functions_may_be_mapped(connection: Redis, theirs: Scheduler) -> None:
    theirs.cron("0 5 * * *", "old.place.task", id="old")
    [found] = read(connection, Maps({"old.place.task": "tests.tasks.fail"}), timezone=BERLIN)
    assert job_of(found).func is fail
