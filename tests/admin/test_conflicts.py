"""Two editors of one schedule: nobody's change is lost unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob, RedisCronScheduler

from .conftest import LIST
from .forms import change_url, errors, inputs, load, messages, send
from .test_actions import act

Make = Callable[..., RedisCronJob]
URL = change_url("job")
BUILD = "tests.app.tasks.build_report"


@pytest.fixture(autouse=True)
def job(schedule: Make) -> RedisCronJob:
    return schedule("job", func_name=BUILD, args=("daily",), interval=300)


@pytest.fixture
def other(client_with: Callable[..., Client]) -> Client:
    return client_with("view", "change", "delete")


def test_the_second_to_save_is_told_who_changed_what_and_may_reapply(
    operator: Client, other: Client, connection: Redis
) -> None:
    mine, theirs = load(operator, URL), load(other, URL)
    send(other, URL, theirs, interval="10m", args='["weekly"]')
    stored = connection.hgetall("rq:cron_job:job")

    response = send(operator, URL, mine, interval="900", job_timeout="60")

    (told,) = errors(response)["__all__"]
    assert "user-view-change-delete changed this schedule" in told
    assert "<strong>interval</strong>: <del>300</del> → <ins>600</ins>" in told
    assert "yours: <strong>900</strong>" in told
    assert "[&quot;daily&quot;]</del> → <ins>[&quot;weekly&quot;]" in told
    assert "timeout" not in told
    assert connection.hgetall("rq:cron_job:job") == stored
    assert LogEntry.objects.count() == 1
    # the form shows their changes, and mine over them
    again = inputs(response)
    assert (again["args"], again["interval"], again["job_timeout"]) == ('["weekly"]', "900", "60")

    assert send(operator, URL, again).status_code == 302
    after = RedisCronJob.fetch("job", connection)
    assert (after.interval, after.args, after.job_options["job_timeout"]) == (900, ("weekly",), 60)
    assert LogEntry.objects.first().get_change_message() == (
        "Changed interval: 600 → 900 and timeout: none → 60."
    )


def test_a_change_by_a_program_is_one_too(operator: Client, connection: Redis) -> None:
    form = load(operator, URL)
    program = RedisCronJob.fetch("job", connection)
    program.cron, program.interval = "0 3 * * *", None
    program.timezone = "Europe/Berlin"
    program.save(actor="program:cleanup")

    response = send(operator, URL, form, job_timeout="60")

    (told,) = errors(response)["__all__"]
    assert "program:cleanup changed this schedule" in told
    assert "<ins>0 3 * * *</ins> (program:cleanup, " in told
    again = inputs(response)
    assert [again[name] for name in ("interval", "cron")] == ["", "0 3 * * *"]
    assert again["timezone"] == "Europe/Berlin"
    assert send(operator, URL, again).status_code == 302
    assert RedisCronJob.fetch("job", connection).job_options["job_timeout"] == 60


def test_being_disabled_meanwhile_is_not_undone(
    operator: Client, other: Client, connection: Redis
) -> None:
    form = load(operator, URL)
    act(other, "disable_selected", "job")
    response = send(operator, URL, form, interval="900")
    (told,) = errors(response)["__all__"]
    assert "<strong>enabled</strong>: <del>yes</del> → <ins>no</ins> (user-view-" in told
    assert "enabled" not in inputs(response)
    send(operator, URL, inputs(response))
    after = RedisCronJob.fetch("job", connection)
    assert (after.enabled, after.interval) == (False, 900)


def test_a_conflict_is_told_beside_what_is_not_valid(
    operator: Client, other: Client, connection: Redis
) -> None:
    form = load(operator, URL)
    send(other, URL, load(other, URL), notify_failures="2", notify_margin="60")
    invalid = {"retry_max": "3", "retry_intervals": "soon", "notify": "no", "notify_margin": "?"}
    found = errors(send(operator, URL, form, **invalid))
    assert set(found) == {"__all__", "retry_intervals", "notify_margin"}
    assert "<strong>alarms</strong>: <del>yes</del> → <ins>{&quot;failures" in found["__all__"][0]
    assert "yours: <strong>no</strong>" in found["__all__"][0]
    found = errors(send(operator, URL, form, retry_max="3", retry_intervals="5"))
    assert set(found) == {"__all__"}
    stored = RedisCronJob.fetch("job", connection)
    assert (stored.notify, stored.job_options.get("retry")) == ({"failures": 2, "margin": 60}, None)


def test_what_the_scheduler_writes_is_no_conflict(operator: Client, connection: Redis) -> None:
    form = load(operator, URL)
    scheduler = RedisCronScheduler(connection)
    scheduler.register_birth()
    assert [ran.id for ran in scheduler.enqueue_jobs()] == ["job"]
    scheduler.register_death()
    ran = RedisCronJob.fetch("job", connection)

    assert send(operator, URL, form, job_timeout="60").status_code == 302

    after = RedisCronJob.fetch("job", connection)
    assert after.latest_enqueue_time == ran.latest_enqueue_time is not None
    assert after.next_enqueue_time == ran.next_enqueue_time
    assert after.job_options["job_timeout"] == 60


def test_a_change_between_reading_and_writing_is_found(
    operator: Client, connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_rediscron.admin.changeform.form import ScheduleForm

    write, seen = ScheduleForm.write, []

    def late(form: Any) -> None:
        if not seen:
            seen.append(form)
            program = RedisCronJob.fetch("job", connection)
            program.interval = 77
            program.save()
        write(form)

    form = load(operator, URL)
    monkeypatch.setattr(ScheduleForm, "write", late)
    response = send(operator, URL, form, interval="900")
    assert "<del>300</del> → <ins>77</ins>" in errors(response)["__all__"][0]
    assert RedisCronJob.fetch("job", connection).interval == 77


def test_deleted_meanwhile_stays_deleted(
    operator: Client, other: Client, connection: Redis
) -> None:
    form = load(operator, URL)
    other.post(f"{LIST}job/delete/", {"post": "yes"})
    response = send(operator, URL, form, interval="900")
    assert response.status_code == 302
    (told,) = messages(response)
    assert "was deleted by user-view-change-delete" in told
    assert not connection.exists("rq:cron_job:job")


def test_deleted_between_reading_and_writing_stays_deleted(
    operator: Client, connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_rediscron.admin.changeform.form import ScheduleForm

    write = ScheduleForm.write

    def late(form: Any) -> None:
        RedisCronJob.fetch("job", connection).delete(actor="program:cleanup")
        write(form)

    form = load(operator, URL)
    monkeypatch.setattr(ScheduleForm, "write", late)
    response = send(operator, URL, form, interval="900")
    assert response.status_code == 302
    assert "was deleted by program:cleanup" in messages(response)[0]
    assert not connection.exists("rq:cron_job:job")
    assert not LogEntry.objects.exists()


def test_deleted_and_made_anew_is_another_schedule(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    form = load(operator, URL)
    RedisCronJob.fetch("job", connection).delete()
    schedule("job", func_name=BUILD, args=("new",), interval=77)
    response = send(operator, URL, form, job_timeout="60")
    assert "<del>300</del> → <ins>77</ins>" in errors(response)["__all__"][0]


def test_values_of_others_are_escaped(operator: Client, connection: Redis) -> None:
    form = load(operator, URL)
    program = RedisCronJob.fetch("job", connection)
    program.args = ("<script>alert(1)</script>",)
    program.save()
    response = send(operator, URL, form, interval="900")
    assert "&lt;script&gt;" in errors(response)["__all__"][0]
    assert "<script>alert" not in response.text
