"""Why a schedule ran or did not run at some time, asked on its page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html import unescape
from typing import Any

import pytest
from django.test import Client
from redis import Redis
from rq import Queue, SimpleWorker

from django_rediscron import RedisCronJob, Run
from django_rediscron.admin.one_schedule.why import VERDICTS, Question
from django_rediscron.core.scheduler import RedisCronScheduler
from django_rediscron.core.store.keys import runs_key
from django_rediscron.core.story.why.answer import VERDICTS as ALL_VERDICTS

from .forms import change_url

Make = Callable[..., RedisCronJob]

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def asked(client: Client, time: str | None = None, id: str = "job") -> Question:
    """The question on the page of a schedule, and its answers."""
    response = client.get(change_url(id), {} if time is None else {"why": time})
    assert response.status_code == 200, response
    question: Question = response.context["details"].question
    assert all(each.answer.sentence for each in question.answers)
    return question


def verdicts(question: Question) -> list[str]:
    return [each.answer.verdict for each in question.answers]


@pytest.fixture
def ran(schedule: Make, connection: Redis) -> RedisCronJob:
    """A schedule that ran every hour of a morning, and failed at noon."""
    job = schedule("job", interval=3600, timezone="America/New_York")
    for hours in range(6):
        due = NOON - timedelta(hours=hours)
        run = Run(
            f"job-{hours}",
            due,
            "finished" if hours else "failed",
            due,
            due + timedelta(seconds=2),
            occurrence=due,
            attempts=1,
        )
        connection.rpush(runs_key("job"), run.to_text())
    return job


def test_the_latest_and_the_next_run_are_answered_without_a_question(
    schedule: Make, operator: Client, connection: Redis
) -> None:
    schedule("job", interval=3600, func_name="tests.tasks.fail")
    RedisCronScheduler(connection).start(burst=True)
    assert verdicts(asked(operator)) == ["waiting", "coming"]
    SimpleWorker([Queue("default", connection=connection)], connection=connection).work(burst=True)
    question = asked(operator)
    assert verdicts(question) == ["ran", "coming"]
    latest, following = question.answers
    assert "failed" in latest.mark
    assert "queued" in following.mark
    assert latest.answer.sentence in unescape(operator.get(change_url("job")).text)


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_time_is_that_of_the_reader(
    settings: Any, use_tz: bool, ran: RedisCronJob, operator: Client
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"
    question = asked(operator, "2026-03-01T20:00")
    assert (question.zone, question.time) == ("Asia/Tokyo", "2026-03-01T20:00")
    (answer,) = question.answers
    assert answer.answer.run.job_id == "job-1"
    assert asked(operator, "2026-03-01T12:00+01:00").answers[0].answer.run.job_id == "job-1"
    assert verdicts(asked(operator, "2026-03-01T20:01")) == ["none"]


def test_what_is_no_time_is_told(ran: RedisCronJob, operator: Client) -> None:
    for text in ("yesterday", "2026-02-30T12:00", "9999-12-31T23:59", "0001-01-01T00:00", "<b>"):
        question = asked(operator, text)
        assert question.wrong or question.answers
    page = operator.get(change_url("job"), {"why": "<b>late", "kind": "run"})
    assert "got &#x27;&lt;b&gt;late&#x27;" in page.text
    assert '<input type="hidden" name="kind" value="run">' in page.text


def test_who_may_look_may_ask(ran: RedisCronJob, client_with: Callable[..., Client]) -> None:
    assert verdicts(asked(client_with("view"), "2026-03-01T12:00")) == ["ran"]


def test_all_verdicts_have_a_name_here() -> None:
    assert set(VERDICTS) == set(ALL_VERDICTS)


def test_of_a_damaged_schedule(ran: RedisCronJob, operator: Client, connection: Redis) -> None:
    connection.hset("rq:cron_job:job", "args", "[nope")
    assert verdicts(asked(operator, "2026-03-01T12:00")) == ["ran"]
