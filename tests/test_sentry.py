"""Sentry has a monitor for each schedule, and hears once when a run begins and how it ends.

Seen to fail, each with this taken out: the id made of that of the job, `checks_in_itself` as a
whole and its part for the integration, `_captured` and `Delivery.watch` of `CheckIns`,
`is_frequent`, `_is_missing`, jitter in the margin, digits in `Slugs.of`.
"""

from __future__ import annotations

import logging
import sys
import threading
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any

import pytest
import sentry_sdk
from redis import Redis
from rq.command import send_stop_job_command
from rq.utils import now
from sentry_sdk.integrations.rq import RqIntegration
from sentry_sdk.transport import HttpTransport, Transport

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.core.notifying.notification import Notification
from django_rediscron.core.story.runs import Run
from django_rediscron.core.timing import portable
from django_rediscron.notify import load_receivers
from django_rediscron.notify.sentry import check_ins as check_ins_module
from django_rediscron.notify.sentry import delivery, make
from django_rediscron.notify.sentry.monitors import MonitorOptions, monitor_config
from django_rediscron.notify.slugs import Slugs
from tests import tasks
from tests.http_server import Reply, http_server
from tests.processes import wait_until
from tests.sentry import read_check_ins, scheduling, sentry, start, stop, working

NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
NEVER = {"type": "interval", "value": 10, "unit": "year"}


def schedule(id: str = "report", **options: Any) -> RedisCronJob:
    if "cron" not in options:
        options = {"interval": 600, **options}
    return RedisCronJob(id, "metrics", tasks.echo, **options)


def started(job: RedisCronJob | None, job_id: str = "run-1") -> Notification:
    return told("run_started", job, Run(job_id, NOON, "started", NOON + SECOND))


def ended(job: RedisCronJob | None, status: str, job_id: str = "run-1") -> Notification:
    run = Run(job_id, NOON, status, NOON + SECOND, NOON + 3.5 * SECOND)
    return told("run_ended", job, run)


def told(kind: str, job: RedisCronJob | None, run: Run) -> Notification:
    id = job.id if job else "report"
    return Notification(f"{kind} {id} {run.job_id}", kind, NOON, id, job, NOON, run, "", {})


# When Sentry expects runs


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"interval": 600}, {"type": "interval", "value": 10, "unit": "minute"}),
        ({"interval": 7200}, {"type": "interval", "value": 2, "unit": "hour"}),
        ({"interval": 7 * 86400}, {"type": "interval", "value": 7, "unit": "day"}),
        # Sentry counts from each check-in: a longer interval never reports a run that is on time.
        ({"interval": 90}, {"type": "interval", "value": 2, "unit": "minute"}),
        ({"interval": 5}, {"type": "interval", "value": 1, "unit": "minute"}),
        ({"cron": "59/15 22-1 * jan FRI"}, {"type": "crontab", "value": "59 0-1,22-23 * 1 5"}),
        ({"cron": "@daily"}, {"type": "crontab", "value": "0 0 * * *"}),
        ({"cron": "*/5 * * * * 30"}, {"type": "crontab", "value": "*/5 * * * *"}),
        ({"interval": 600, "enabled": False}, NEVER),
    ],
)
def test_monitors_expect_what_schedules_say(
    options: dict[str, Any], expected: dict[str, Any]
) -> None:
    config = monitor_config(schedule(**options), MonitorOptions(300), now())
    assert config["schedule"] == expected


def test_nothing_is_expected_of_a_schedule_without_runs_left() -> None:
    job = schedule(max_runs=1)
    job.finished_at = NOON
    assert monitor_config(job, MonitorOptions(300), now())["schedule"] == NEVER


def test_expressions_that_sentry_cannot_read_become_the_time_until_the_next_run() -> None:
    job = schedule(cron="0 8 15W * *", timezone="UTC")
    job.next_enqueue_time = datetime(2026, 4, 15, 8, tzinfo=timezone.utc)
    config = monitor_config(job, MonitorOptions(300), NOON - SECOND)
    minutes = (22 * 24 + 20) * 60 + 1
    assert config["schedule"] == {"type": "interval", "value": minutes, "unit": "minute"}
    assert "timezone" not in config


def test_monitors_have_the_zone_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    options = MonitorOptions(300)
    job = schedule(cron="0 8 * * *", timezone="Europe/Paris")
    assert monitor_config(job, options, NOON)["timezone"] == "Europe/Paris"
    job = schedule(cron="0 8 * * *")
    monkeypatch.setattr(portable, "rules_of", lambda _: {portable.LOCAL_NAME: "Asia/Tokyo"})
    assert monitor_config(job, options, NOON)["timezone"] == "Asia/Tokyo"
    # A local zone that has no name.
    monkeypatch.setattr(portable, "rules_of", lambda _: {portable.LOCAL_NAME: ""})
    assert monitor_config(job, options, NOON)["schedule"]["type"] == "interval"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"checkin_margin": 5, "failure_issue_threshold": 1}),
        ({"notify": {"margin": 90, "failures": 3}},
         {"checkin_margin": 2, "failure_issue_threshold": 3}),
        ({"jitter": "10m"}, {"checkin_margin": 15}),
        ({"max_runtime": "1h", "job_timeout": 60}, {"max_runtime": 60}),
        ({"job_timeout": 200}, {"max_runtime": 4}),
        ({"job_timeout": -1}, {"max_runtime": None}),
        ({"job_timeout": 200, "retry": 3}, {"max_runtime": None}),
        ({"max_runtime": "30d"}, {"max_runtime": 10080}),
    ],
)  # fmt: skip
def test_monitors_have_the_limits_of_the_schedule(
    options: dict[str, Any], expected: dict[str, Any]
) -> None:
    config = monitor_config(schedule(**options), MonitorOptions(300), now())
    assert {name: config.get(name) for name in expected} == expected


def test_options_of_the_receiver_hold_for_schedules_that_say_nothing() -> None:
    options = MonitorOptions(600, max_runtime=1800, recoveries=2, owner="team:backend")
    config = monitor_config(schedule(), options, now())
    assert (config["checkin_margin"], config["max_runtime"]) == (10, 30)
    assert (config["recovery_threshold"], config["owner"]) == (2, "team:backend")


@pytest.mark.parametrize(
    ("id", "slug"),
    [
        ("report", "report"),
        ("daily_report-2", "daily_report-2"),
        ("reports:daily", "reports-daily-"),
        ("Report", "report-"),
        ("a--b", "a-b-"),
        ("2026", "2026-"),
        ("_report", "report-"),
        ("報告", "schedule-"),
        ("x" * 60, "x" * 41 + "-"),
        ("report-0a1b2c3d", "report-0a1b2c3d-"),
    ],
)
def test_slugs_are_those_that_sentry_keeps(id: str, slug: str) -> None:
    found = Slugs("", 50).of(id)
    assert found.startswith(slug)
    assert len(found) <= 50
    assert len(found) == len(slug) + (0 if slug == id else 8)


# Check-ins


@pytest.mark.parametrize(
    ("status", "said"),
    [
        *(("finished", "ok"), ("failed", "error"), ("stopped", "error")),
        *(("unknown", "error"), ("canceled", "error")),
    ],
)
def test_start_and_end_of_a_run_have_the_same_id(status: str, said: str) -> None:
    with sentry() as check_ins:
        job = schedule()
        make().tell([started(job)])
        make().tell([ended(job, status)])  # in another process, say
        make().tell([ended(job, "finished", "run-2")])  # so short that its start was not seen
    begin, end, other = check_ins
    assert (begin["monitor_slug"], begin["status"]) == ("report", "in_progress")
    assert (end["status"], end["duration"]) == (said, 2.5)
    assert begin["check_in_id"] == end["check_in_id"] != other["check_in_id"]
    assert begin["monitor_config"] == end["monitor_config"] == other["monitor_config"]


def test_a_run_of_which_start_and_end_are_told_at_once_checks_in_once() -> None:
    with sentry() as check_ins:
        job = schedule()
        make().tell([started(job), started(job, "run-2"), ended(job, "finished")])
    assert [each["status"] for each in check_ins] == ["in_progress", "ok"]
    assert check_ins[0]["check_in_id"] != check_ins[1]["check_in_id"]


def test_a_run_that_was_canceled_before_it_began_did_not_take_place() -> None:
    with sentry() as check_ins:
        make().tell([told("run_ended", schedule(), Run("run", NOON, "canceled", None, NOON))])
    assert check_ins == []


def test_a_run_of_a_deleted_schedule_still_ends() -> None:
    with sentry() as check_ins:
        make().tell([ended(None, "finished")])
    (end,) = check_ins
    assert (end["monitor_slug"], end["status"]) == ("report", "ok")
    assert "monitor_config" not in end


def test_a_schedule_that_cannot_be_read_leaves_the_monitor_as_it_is() -> None:
    damaged = schedule("damaged", cron="0 8 * * *")
    damaged.cron = "H 8 * * *"
    lost = schedule("lost", cron="0 8 * * *", timezone="UTC")
    lost.timezone = "Europe/Atlantis"
    with sentry() as check_ins:
        make().tell([ended(job, "finished") for job in (damaged, lost, schedule())])
    assert [each["monitor_slug"] for each in check_ins] == ["damaged", "lost", "report"]
    assert ["monitor_config" in each for each in check_ins] == [False, False, True]


def test_schedules_that_are_excluded_have_no_monitor() -> None:
    with sentry() as check_ins:
        receiver = make(exclude=["cache:*"], prefix="shop-")
        receiver.tell([ended(schedule("cache:users"), "failed"), ended(schedule(), "failed")])
    (end,) = check_ins
    assert end["monitor_slug"] == "shop-report"


def test_schedules_of_seconds_check_in_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentry drops more than six check-ins in a minute, perhaps the end of a run."""
    moment = 1000.0
    monkeypatch.setattr(check_ins_module.time, "monotonic", lambda: moment)
    with sentry() as check_ins:
        job, receiver = schedule(interval=1), make()
        for number in range(90):
            moment += 1
            status = "failed" if number == 5 else "finished"
            run = f"run-{number}"
            receiver.tell([started(job, run), ended(job, status, run)])
    assert [each["status"] for each in check_ins] == ["ok", "error", "ok"]


def test_without_a_dsn_one_line_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    receiver = make()
    with caplog.at_level(logging.INFO, "django_rediscron"):
        receiver.tell([started(schedule())])
        receiver.tell([ended(schedule(), "finished")])
    (line,) = caplog.messages
    assert "sentry_sdk.init(dsn=...)" in line
    with sentry() as check_ins:
        receiver.tell([ended(schedule(), "finished", "run-2")])
    assert len(check_ins) == 1


def test_what_the_sdk_does_not_send_in_time_is_not_handed_over_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed_over, sent = [], threading.Event()

    class Hanging(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            handed_over.append(envelope)

        def flush(self, timeout: float, callback: Any = None) -> None:
            sent.wait(timeout)

    monkeypatch.setattr(delivery, "FLUSH_TIMEOUT", 0.01)
    start(Hanging)
    try:
        receiver = make()
        with pytest.raises(TimeoutError, match="could not send all to Sentry"):
            receiver.tell([ended(schedule(), "finished")])
        sent.set()
        monkeypatch.setattr(delivery, "FLUSH_TIMEOUT", 10.0)
        receiver.tell([ended(schedule(), "finished")])
    finally:
        stop()
    assert len(handed_over) == 1


@pytest.mark.parametrize("interval", [600, 1])
def test_what_sentry_does_not_take_is_an_error_and_handed_over_again(interval: int) -> None:
    handed_over, is_down = [], True

    class Down(HttpTransport):
        def _send_request(self, *args: Any, **options: Any) -> None:
            handed_over.append(options)
            if is_down:
                self.on_dropped_event("status_503")

    start(Down)
    try:
        receiver = make()
        told = [ended(schedule(interval=interval), "finished")]
        with pytest.raises(ConnectionError, match="Sentry could not be told: status_503"):
            receiver.tell(told)
        is_down = False
        receiver.tell(told)
    finally:
        stop()
    assert len(handed_over) == 2


def test_what_the_sdk_withholds_after_a_refusal_is_an_error_too() -> None:
    refusal = Reply(429, headers={"Retry-After": "60"})
    told = [ended(schedule(interval=600), "finished")]
    with http_server() as server:
        server.reply = refusal
        start(HttpTransport, dsn=f"{server.url.replace('://', '://key@')}/1")
        try:
            receiver = make()
            for reason in ("status_429", "ratelimit_backoff"):
                with pytest.raises(ConnectionError, match=reason):
                    receiver.tell(told)
        finally:
            stop()


# Check-ins of others


@sentry_sdk.monitor(monitor_slug="own")
def monitored() -> None:
    """A task that checks in by itself."""


@wraps(monitored)
def wrapped() -> None:
    """The same below a decorator."""


@pytest.mark.parametrize("name", ["monitored", "wrapped"])
def test_a_function_that_checks_in_by_itself_has_no_second_monitor(name: str) -> None:
    job = schedule()
    job.func_name = f"{__name__}.{name}"
    with sentry() as check_ins:
        make().tell([started(job), ended(job, "finished")])
        assert check_ins == []
        # Its workers may be able to import this one.
        job.func_name = "elsewhere.task"
        make().tell([started(job)])
    assert len(check_ins) == 1


@pytest.mark.slow
def test_a_run_checks_in_once_also_with_the_integration_of_sentry(
    connection: Redis, redis_url: str
) -> None:
    scheduler = RedisCronScheduler(connection)

    def register(func: Any, id: str, *args: Any, **options: Any) -> RedisCronJob:
        return scheduler.register(func, "metrics", id, args, interval=7200, **options)

    def statuses(slug: str) -> list[str]:
        return [each["status"] for each in read_check_ins(connection)[slug]]

    with scheduling(redis_url), working(redis_url):
        for id, said in (("good", "ok"), ("stopped", "error")):
            job = register(tasks.wait_for_release, id, "release")
            assert connection.blpop(["release:started"], timeout=50)
            wait_until(lambda id=id: statuses(id) == ["in_progress"])
            if id == "good":
                connection.rpush("release", "now")
            else:
                send_stop_job_command(connection, job.get_job_ids(connection)[0])
            wait_until(lambda id=id, said=said: statuses(id) == ["in_progress", said])
        register(tasks.fail, "bad")
        wait_until(lambda: statuses("bad")[-1:] == ["error"])
        # What the integration takes for a job of rq-scheduler, it watches itself.
        register(tasks.echo, "theirs", meta={"interval": 7200})
        register(tasks.echo, "last")
        wait_until(lambda: statuses("last")[-1:] == ["ok"])
    found = read_check_ins(connection)
    theirs = "tests.tasks.echo" if hasattr(RqIntegration(), "monitor_cron_jobs") else "theirs"
    assert found.keys() == {"good", "stopped", "bad", "last", theirs}
    for slug, check_ins in found.items():
        assert len({each["check_in_id"] for each in check_ins}) == 1
        assert [each["status"] for each in check_ins[:-1]] in ([], ["in_progress"]), slug
        assert check_ins[-1]["duration"] >= 0


@pytest.mark.slow
def test_the_next_leader_ends_what_the_first_began_and_monitors_follow_edits(
    connection: Redis, redis_url: str
) -> None:
    scheduler = RedisCronScheduler(connection)
    with working(redis_url):
        with scheduling(redis_url, lock_ttl=2) as first:
            job = scheduler.register(
                tasks.wait_for_release, "metrics", "report", ("release",), interval=7200
            )
            wait_until(lambda: len(read_check_ins(connection)["report"]) == 1)
            first.kill()
        job.interval, job.notify = 600, {"margin": "2h", "failures": 2}
        job.save()
        with scheduling(redis_url, "two"):
            connection.rpush("release", "now")
            wait_until(lambda: len(read_check_ins(connection)["report"]) == 2)
    begin, end = read_check_ins(connection)["report"]
    assert begin["check_in_id"] == end["check_in_id"]
    assert (begin["status"], end["status"]) == ("in_progress", "ok")
    assert begin["monitor_config"]["schedule"] == {"type": "interval", "value": 2, "unit": "hour"}
    assert end["monitor_config"] == {
        "schedule": {"type": "interval", "value": 10, "unit": "minute"},
        "checkin_margin": 120,
        "failure_issue_threshold": 2,
    }


# The setting


def test_it_can_be_named_in_the_setting(settings: Any) -> None:
    entry = ("django_rediscron.notify.sentry", {"margin": "10m", "exclude": ["cache:*"]})
    settings.REDISCRON = {"NOTIFY": [entry]}
    loaded = load_receivers()
    assert ([each.name for each in loaded.receivers], loaded.faults) == (["sentry"], [])


def test_without_the_sdk_a_check_says_what_to_install(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if "notify.sentry" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    settings.REDISCRON = {"NOTIFY": ["django_rediscron.notify.sentry"]}
    (fault,) = load_receivers().faults
    assert "run pip install 'django-rediscron[sentry]'" in fault.text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"margin": 0}, "margin must be a positive number of seconds"),
        ({"max_runtime": "x"}, "max_runtime must be a positive number of seconds"),
        ({"prefix": "Shop:"}, "prefix must have at most 25 characters"),
        ({"recoveries": 0}, "recoveries must be a whole number from 1 to 720"),
        ({"exclude": "cache:*"}, "exclude must be a list of patterns"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make(**options)
