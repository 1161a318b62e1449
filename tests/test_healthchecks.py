"""Healthchecks has a check for each schedule, that follows it and hears of its runs.

Seen to fail, each with this taken out: `manual_resume` in `Round._follow`, the comparison of
digests there, `compare_with`, `_still_leads`, the mark in `Slugs.of`, `_silent_until` in `tend`,
`each.schedule is not None` in `Pings.tell`, `rid`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from django_rediscron import Notification, RedisCronJob, RedisCronScheduler, Run, pause, resume
from django_rediscron.core.notifying.notification import PROGRESS
from django_rediscron.core.store.keys import LOCK
from django_rediscron.notify import healthchecks as subject
from django_rediscron.notify.healthchecks.expected import expected
from django_rediscron.notify.http import RequestFailedError
from django_rediscron.notify.slugs import Slugs
from tests import healthchecks_server, tasks
from tests.healthchecks_server import Check, Healthchecks
from tests.http_server import HANGS, Received, Reply
from tests.processes import wait_until, working
from tests.test_notifying import YEAR, leading, make_due, register

HOUR = 3600


@pytest.fixture
def hc() -> Iterator[Healthchecks]:
    with healthchecks_server.healthchecks() as running:
        yield running


class Clock:
    """The monotonic clock of `Checks`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1e6
        monkeypatch.setattr(subject.checks, "monotonic", lambda: self._now)

    def pass_by(self, seconds: float) -> None:
        self._now += seconds


class Tended:
    """A leader whose receiver is called when the test says so."""

    def __init__(
        self, leader: RedisCronScheduler, hc: Healthchecks, clock: Clock, **options: Any
    ) -> None:
        self.leader = leader
        self.hc = hc
        self.clock = clock
        self.options = {**hc.options, **options}
        self.begin_anew()

    def begin_anew(self) -> None:
        """As after a restart: nothing is known but what Redis holds."""
        receiver = subject.make(**self.options)
        assert receiver.tend is not None
        self._tend = receiver.tend

    def register(self, id: str = "report", **arguments: Any) -> RedisCronJob:
        return self.leader.register(tasks.echo, "metrics", id=id, **arguments)

    def tend(self) -> list[str]:
        """What was written to Healthchecks, some seconds later."""
        self.clock.pass_by(5)
        self.hc.writes.clear()
        self._tend(self.leader.connection, self.leader.name)
        return self.hc.writes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def tended(leader: RedisCronScheduler, hc: Healthchecks, clock: Clock) -> Tended:
    return Tended(leader, hc, clock)


# Slugs and times


def test_a_slug_is_the_id_wherever_it_can_be() -> None:
    assert Slugs("", 100).of("nightly_report-2") == "nightly_report-2"
    assert Slugs("shop-", 100).of("report") == "shop-report"


def test_no_two_schedules_share_a_slug() -> None:
    slug_of = Slugs("", 100).of
    mark = slug_of("Report: daily")
    ids = ["report-daily", "Report: daily", "report:daily", "REPORT-DAILY", "räport", "日報"]
    ids += ["月報", mark, "x" * 100, "x" * 101, "x" * 102, "X" * 100, "-", "--", " "]
    slugs = [slug_of(id) for id in ids]
    assert len(set(slugs)) == len(ids)
    assert all(healthchecks_server.SLUG.fullmatch(slug) for slug in slugs)
    assert mark.startswith("report-daily-")


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"interval": 300}, {"timeout": 300, "grace": HOUR}),
        ({"interval": 5}, {"timeout": 60, "grace": HOUR}),
        ({"interval": 2 * 366 * 86400}, {"timeout": 365 * 86400, "grace": HOUR}),
        (
            {"cron": "0 8 * * MON-FRI", "timezone": "Europe/Riga"},
            {"schedule": "0 8 * * 1-5", "tz": "Europe/Riga", "grace": HOUR},
        ),
        (
            {"cron": "@daily", "timezone": "UTC", "notify": {"margin": "10m"}},
            {"schedule": "0 0 * * *", "tz": "UTC", "grace": 600},
        ),
        ({"interval": 300, "notify": {"margin": 1}}, {"timeout": 300, "grace": 60}),
        ({"interval": 300, "max_runtime": "3h"}, {"timeout": 300, "grace": 3 * HOUR}),
        ({"interval": 300, "jitter": 90}, {"timeout": 300, "grace": HOUR + 90}),
        # Healthchecks knows no seconds, and no days that are counted from the end or nearest.
        (
            {"cron": "*/5 8 * * * */10", "timezone": "UTC"},
            {"schedule": "*/5 8 * * *", "tz": "UTC", "grace": HOUR + 60},
        ),
        ({"cron": "0 8 L-3 * *", "timezone": "UTC"}, {"timeout": 32 * 86400, "grace": HOUR}),
        ({"cron": "0 8 15W * *", "timezone": "UTC"}, {"timeout": 33 * 86400, "grace": HOUR}),
        ({"cron": "0 8 15W 2 *", "timezone": "UTC"}, {"timeout": 365 * 86400, "grace": HOUR}),
    ],
)
def test_healthchecks_expects_runs_when_they_come(
    arguments: dict[str, Any], fields: dict[str, Any]
) -> None:
    job = RedisCronJob("report", "metrics", tasks.echo, **arguments)
    assert expected(job, HOUR) == fields


def test_an_expression_that_is_too_long_is_a_period() -> None:
    cron = ",".join(map(str, range(0, 60, 2))) + " 1,3,5,7,9,11,13,15,17 * * *"
    job = RedisCronJob("report", "metrics", tasks.echo, cron=cron, timezone="UTC")
    assert expected(job, HOUR) == {"timeout": 2 * 86400, "grace": HOUR}


# Checks that follow


def test_edits_of_a_schedule_reach_its_check_and_nothing_is_sent_twice(tended: Tended) -> None:
    tended.register(cron="0 8 * * *", timezone="Europe/Riga", description="Mails the report")
    assert tended.tend() == ["create report"]
    check = tended.hc["report"]
    assert check.fields == {
        "name": "report",
        "desc": "Mails the report",
        "channels": "*",
        "manual_resume": True,
        "schedule": "0 8 * * *",
        "tz": "Europe/Riga",
        "grace": HOUR,
    }
    assert tended.tend() == []
    for change, field, value in (
        ({"cron": "30 9 * * *"}, "schedule", "30 9 * * *"),
        ({"timezone": "Asia/Tokyo"}, "tz", "Asia/Tokyo"),
        ({"notify": {"margin": "5m"}}, "grace", 300),
        ({"tags": ["billing", "eu"]}, "tags", "billing eu"),
        ({"cron": None, "timezone": None, "interval": 900}, "timeout", 900),
    ):
        job = RedisCronJob.fetch("report", tended.leader.connection)
        for name, new in change.items():
            setattr(job, name, new)
        job.save()
        assert tended.tend() == ["post report"]
        assert check.fields[field] == value
        assert tended.tend() == []
    assert "schedule" not in check.fields


def test_a_new_leader_sends_only_what_changed_since(tended: Tended) -> None:
    for number in range(5):
        tended.register(f"report-{number}", interval=300)
    assert len(tended.tend()) == 5
    tended.begin_anew()
    assert tended.tend() == []
    tended.register("report-3", interval=600)
    tended.begin_anew()
    assert tended.tend() == ["post report-3"]


def test_a_schedule_that_does_not_run_has_a_paused_check(tended: Tended) -> None:
    job = tended.register(interval=300)
    tended.tend()
    check = tended.hc["report"]
    job.disable()
    assert tended.tend() == ["pause report"]
    check.ping("success", "", "a run that ends late")
    assert check.status == "paused"
    assert tended.tend() == []
    job.enable()
    assert tended.tend() == ["resume report"]
    assert check.status == "new"
    job.end_at = datetime.now(timezone.utc) + timedelta(seconds=1)
    job.max_runs = 1
    job.save()
    tended.tend()
    assert len(tended.leader.enqueue_jobs()) == 1
    assert RedisCronJob.fetch("report", tended.leader.connection).state == "finished"
    assert tended.tend() == ["pause report"]


def test_what_is_paused_has_paused_checks(tended: Tended) -> None:
    tended.register(interval=300)
    tended.tend()
    redis = tended.leader.connection
    pause(redis, "other")
    assert tended.tend() == []
    pause(redis, until=3600)
    assert tended.tend() == ["pause report"]
    assert tended.tend() == []
    tended.register("created meanwhile", interval=300)
    assert tended.tend() == []
    resume(redis)
    assert sorted(each.split()[0] for each in tended.tend()) == ["create", "resume"]
    assert tended.hc["report"].status == "new"
    pause(redis, "metrics")
    assert len(tended.tend()) == 2


def test_a_disabled_schedule_gets_no_check(tended: Tended) -> None:
    tended.register(interval=300, enabled=False)
    assert tended.tend() == []
    assert tended.hc.checks == {}


@pytest.mark.parametrize("on_delete", ["pause", "delete"])
def test_deletion_leaves_no_check_that_alerts(
    leader: RedisCronScheduler, hc: Healthchecks, clock: Clock, on_delete: str
) -> None:
    tended = Tended(leader, hc, clock, on_delete=on_delete)
    hc.add(Check("of-somebody-else"))
    tended.register(interval=300).delete()
    assert tended.tend() == []
    tended.register(interval=300)
    tended.register("told", interval=300)
    tended.tend()
    RedisCronJob.fetch("report", leader.connection).delete()
    tended.register("told", interval=300, notify=False)
    assert sorted(tended.tend()) == [f"{on_delete} report", f"{on_delete} told"]
    assert {check.status for check in hc.by_slug("report")} <= {"paused"}
    assert hc["of-somebody-else"].status == "new"
    assert tended.tend() == []
    tended.register(interval=300)
    assert tended.tend() == ["resume report" if on_delete == "pause" else "create report"]
    assert hc["report"].status == "new"


def test_checks_that_pings_or_people_made_or_deleted_are_adopted_and_made_again(
    tended: Tended,
) -> None:
    made_by_ping = tended.hc.add(Check("report"))
    tended.register(interval=300)
    assert tended.tend() == ["post report"]
    assert made_by_ping.fields["timeout"] == 300
    del tended.hc.checks[made_by_ping.code]
    tended.begin_anew()
    assert tended.tend() == ["create report"]
    # One that is deleted meanwhile is noticed when there is something to write.
    del tended.hc.checks[tended.hc["report"].code]
    tended.register(interval=600)
    assert tended.tend() == ["create report"]


def test_a_zone_that_healthchecks_does_not_know_makes_a_period(
    tended: Tended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healthchecks_server, "available_timezones", lambda: {"UTC"})
    tended.register(cron="0 8 * * 1-5", timezone="Europe/Riga")
    assert tended.tend() == ["create report"]
    assert tended.hc["report"].fields["timeout"] == 4 * 86400
    assert tended.tend() == []


def test_one_check_that_is_refused_does_not_stop_the_others(tended: Tended) -> None:
    for id in ("a", "b", "c"):
        tended.register(id, interval=300)
    tended.hc.most = 2
    with pytest.raises(RequestFailedError, match="no more checks can be created, such as 'c'"):
        tended.tend()
    tended.register("a", interval=600)
    with pytest.raises(RequestFailedError):
        tended.tend()
    assert tended.hc.writes == ["post a"]
    assert tended.hc["a"].fields["timeout"] == 600


def test_while_requests_are_refused_it_waits_and_then_sends_the_rest(
    tended: Tended, clock: Clock
) -> None:
    tended.register(interval=300)
    for refusal, wait, reason in (
        (Reply(429, b"", {"Retry-After": "120"}), 120, "answers 429"),
        (Reply(500), 60, "answers 500"),
        (Reply(200, b"<html>"), 60, "does not answer with JSON"),
        (Reply(200, b'{"checks": [5]}'), 60, "does not answer with a list of checks"),
    ):
        tended.hc.refuses = refusal
        with pytest.raises(RequestFailedError, match=reason):
            tended.tend()
        while not tended.hc.server.received.empty():
            tended.hc.server.next()
        clock.pass_by(wait - 6)
        tended.tend()
        assert tended.hc.server.received.empty()
        clock.pass_by(2)
    tended.hc.refuses = None
    assert tended.tend() == ["create report"]


def test_one_that_no_longer_leads_sends_nothing(tended: Tended) -> None:
    tended.register("a", interval=300)
    tended.register("b", interval=300)

    def take_over(received: Any) -> Reply:
        tended.leader.connection.set(LOCK, "another:token")
        return answer(received)

    answer = tended.hc.answer
    tended.hc.server.reply = take_over
    assert tended.tend() == []


# Options


def test_without_a_key_of_the_api_it_only_pings() -> None:
    receiver = subject.make("key")
    assert receiver.tend is None
    assert receiver.kinds == frozenset(PROGRESS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ping_key": ""}, "ping_key must be the key"),
        ({"ping_key": "a\nb"}, "ping_key must be the key"),
        ({"url": "hc.example.com"}, "url must be a URL"),
        ({"url": "https://hc.example.com/p", "api_key": "k"}, "api_url must be given"),
        ({"prefix": "Shop:"}, "prefix must have"),
        ({"grace": 0}, "grace must be a positive number"),
        ({"on_delete": "keep"}, "on_delete must be"),
        ({"tags": [5]}, "tags must be a text or a list of texts"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        subject.make(**{"ping_key": "key", **options})


# Runs


def awaited(hc: Healthchecks, count: int) -> list[tuple[str, str, str]]:
    """The pings of the check `report`, when there are so many."""
    wait_until(lambda: hc.by_slug("report") and len(hc["report"].pings) >= count)
    return hc["report"].pings


@pytest.mark.slow
def test_start_and_end_of_a_run_are_pinged_with_one_id(
    connection: Redis, redis_url: str, hc: Healthchecks
) -> None:
    register(connection, tasks.wait_for_release, args=("go",))
    with leading(connection, subject.make(**hc.options)), working(redis_url):
        ((kind, rid, _),) = awaited(hc, 1)
        assert kind == "start"
        connection.rpush("go", "1")
        assert awaited(hc, 2)[1][:2] == ("success", rid)
        register(connection, tasks.fail)
        make_due(connection)
        wait_until(lambda: hc["report"].status == "down")
        wait_until(lambda: hc["report"].fields["timeout"] == YEAR)
    kind, other, text = hc["report"].pings[-1]  # with or without a start: it is over at once
    assert (kind, other != rid) == ("fail", True)
    assert "ValueError: it failed, with a reason" in text


@pytest.mark.slow
def test_schedulers_that_run_send_what_people_edit_and_no_more(
    connection: Redis, hc: Healthchecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "EVERY", 0.05)
    monkeypatch.setattr(subject.checks, "LOOK_SHARE", 1)

    def edit(field: str, value: object, **changes: Any) -> None:
        """Change the schedule, and await that its check says so."""
        job = RedisCronJob.fetch("report", connection)
        for name, new in changes.items():
            setattr(job, name, new)
        job.save()
        wait_until(lambda: hc.by_slug("report") and hc["report"].fields.get(field) == value)

    register(connection, tasks.echo, start_at=datetime(2100, 1, 1, tzinfo=timezone.utc))
    with leading(connection, subject.make(**hc.options)):
        edit("timeout", 900, interval=900)
        edit("schedule", "0 8 * * *", interval=None, cron="0 8 * * *", timezone="Europe/Riga")
        edit("tz", "Asia/Tokyo", timezone="Asia/Tokyo")
        edit("grace", 120, notify={"margin": "2m"})
        RedisCronJob.fetch("report", connection).disable()
        wait_until(lambda: hc["report"].status == "paused")
    hc.writes.clear()
    with leading(connection, subject.make(**hc.options), name="two"):
        RedisCronJob.fetch("report", connection).enable()
        wait_until(lambda: hc["report"].status == "new")
        RedisCronJob.fetch("report", connection).delete()
        wait_until(lambda: hc["report"].status == "paused")
    assert hc.writes == ["resume report", "pause report"]


@pytest.mark.slow
def test_runs_that_overlap_have_ids_of_their_own(
    connection: Redis, redis_url: str, hc: Healthchecks
) -> None:
    register(connection, tasks.wait_for_release, args=("go",))
    with (
        leading(connection, subject.make(**hc.options)),
        working(redis_url, name="first"),
        working(redis_url, name="second"),
    ):
        awaited(hc, 1)
        make_due(connection)
        awaited(hc, 2)
        connection.rpush("go", "1", "2")
        pings = awaited(hc, 4)
    kinds, rids = [each[0] for each in pings], [each[1] for each in pings]
    assert kinds == ["start", "start", "success", "success"]
    assert rids[0] != rids[1]
    assert sorted(rids[:2]) == sorted(rids[2:])


def ended(status: str, schedule: RedisCronJob | None) -> Notification:
    run = Run("not-a-uuid", None, status)
    moment = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
    return Notification("1-0", "run_ended", moment, "report", schedule, None, run, "Ended.", {})


def test_a_run_of_unknown_end_is_no_success_and_a_deleted_schedule_gets_no_check(
    hc: Healthchecks,
) -> None:
    job = RedisCronJob("report", "metrics", tasks.echo, interval=300)
    tell = subject.make(**hc.options).tell
    tell([ended("finished", None)])
    assert hc.checks == {}
    statuses = ("finished", "failed", "stopped", "canceled", "unknown")
    tell([ended(status, job) for status in statuses])
    check = hc["report"]
    assert [each[0] for each in check.pings] == ["success", "fail", "fail", "log", "log"]
    (rid,) = {each[1] for each in check.pings}
    assert str(UUID(rid)) == rid


def test_pings_to_a_service_that_is_down_raise(hc: Healthchecks) -> None:
    job = RedisCronJob("report", "metrics", tasks.echo, interval=300)
    receiver = subject.make(**hc.options, timeout=0.2)
    for refusal, reason in ((Reply(429), "answers 429"), (HANGS, "no answer in time")):
        hc.refuses = refusal
        with pytest.raises(RequestFailedError, match=reason) as raised:
            receiver.tell([ended("finished", job)])
        assert healthchecks_server.PING_KEY not in str(raised.value)


def test_a_ping_and_the_api_do_not_create_a_check_at_the_same_time(
    connection: Redis, hc: Healthchecks, leader: RedisCronScheduler
) -> None:
    job = leader.register(tasks.echo, "metrics", id="report", interval=300)
    receiver = subject.make(**hc.options)
    pinged = threading.Thread(target=receiver.tell, args=([ended("finished", job)],))
    answer = hc.answer

    creates = threading.Event()
    overlaps: list[bool] = []

    def ping_meanwhile(received: Received) -> Reply:
        if received.method == "POST" and received.path.startswith("/api"):
            pinged.start()
            overlaps.append(creates.wait(0.3))
        reply = answer(received)
        if "create" in received.query:
            creates.set()
        return reply

    hc.server.reply = ping_meanwhile
    assert receiver.tend is not None
    receiver.tend(connection, "leader")
    pinged.join()
    assert overlaps == [False], "it waits for the answer to the other one"
    assert [each[0] for each in hc["report"].pings] == ["success"]
