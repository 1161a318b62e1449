"""Deleted schedules: their list, what is on record of each, and restoring them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.test import Client, override_settings
from redis import Redis
from rq import Queue, SimpleWorker

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.admin.deleted.all import PER_PAGE
from django_rediscron.core.store.keys import GONE

from .conftest import LIST
from .forms import change_url, messages
from .test_revert import ALLOWED, ask, revert_url

Make = Callable[..., RedisCronJob]

DELETED = f"{LIST}deleted/"
SCRIPT = "<script>alert(1)</script>"


def deleted_url(id: str = "job") -> str:
    return f"{LIST}{quote(id)}/deleted/"


@pytest.fixture
def gone(schedule: Make, connection: Redis) -> RedisCronJob:
    """A schedule that was changed, ran, and was deleted."""
    job = schedule("job", interval=300, func_name=ALLOWED, args=("a",))
    RedisCronScheduler(connection).start(burst=True)
    SimpleWorker([Queue("default", connection=connection)], connection=connection).work(burst=True)
    RedisCronScheduler(connection).start(burst=True)
    job = RedisCronJob.fetch("job", connection)
    job.interval = 600
    job.save()
    job.delete(actor="cli:bob@web-1")
    return job


# The list


def test_the_list_tells_who_deleted_what(
    gone: RedisCronJob, schedule: Make, client_with: Callable[..., Client]
) -> None:
    schedule("other", func_name=ALLOWED)
    client_with("view", "delete").post(f"{LIST}other/delete/", {"post": "yes"})
    viewer = client_with("view")
    assert f'href="{DELETED}"' in viewer.get(LIST).text
    page = viewer.get(DELETED)
    rows = [(row.deleted.id, row.actor, row.deleted.func_name) for row in page.context["rows"]]
    assert rows == [
        ("other", "user-view-delete", ALLOWED),
        ("job", "cli:bob@web-1", ALLOWED),
    ]
    assert f'href="{deleted_url()}"' in page.text


def test_the_list_is_empty_page_by_page_and_without_what_exists_again(
    operator: Client, connection: Redis, schedule: Make
) -> None:
    assert "No deleted schedules are on record." in operator.get(DELETED).text
    connection.zadd(GONE, {f"s{number}": number for number in range(PER_PAGE + 1)})
    page = operator.get(DELETED)
    assert [row.deleted.id for row in page.context["rows"]][:2] == ["s50", "s49"]
    assert page.context["pages"] == [("1", None), ("2", "?page=2")]
    second = operator.get(DELETED, {"page": "2"})
    assert [row.deleted.id for row in second.context["rows"]] == ["s0"]
    for odd in ("-1", "x", "9" * 99):
        assert operator.get(DELETED, {"page": odd}).status_code == 200
    connection.delete(GONE)
    connection.zadd(GONE, {"there": 1})
    schedule("there")
    connection.zadd(GONE, {"there": 1})
    assert "No deleted schedules are on record." in operator.get(DELETED).text


def test_odd_ids_and_values_are_text(operator: Client, schedule: Make, connection: Redis) -> None:
    for id in (SCRIPT, "a/b", "客户 ?#&", "x" * 200):
        schedule(id, name=SCRIPT, args=(SCRIPT,)).delete(actor=SCRIPT)
    connection.zadd(GONE, {b"\xff": "inf", "unknown": -1})
    page = operator.get(DELETED)
    assert SCRIPT not in page.text
    assert len(page.context["rows"]) == 6
    for row in page.context["rows"]:
        one = operator.get(row.url)
        is_known = row.deleted.change is not None
        assert one.status_code == (200 if is_known else 404)
        assert SCRIPT not in one.text
        if is_known:
            asked = operator.get(revert_url(row.deleted.id), {"revision": 0}, follow=True)
            assert SCRIPT not in asked.text


# What is on record of one


def test_its_page_tells_its_story_and_answers_why(
    gone: RedisCronJob, client_with: Callable[..., Client]
) -> None:
    page = client_with("view").get(deleted_url(), {"why": "2026-01-01T00:00"})
    assert page.status_code == 200
    assert "cli:bob@web-1" in dict(page.context["facts"])["Deleted"]
    assert "10 min" in str(dict(page.context["facts"])["Runs"])
    details = page.context["details"]
    assert [entry.outcome for entry in details.story.page if entry.kind == "run"] == ["finished"]
    changes = [entry for entry in details.story.page if entry.kind == "change"]
    assert changes[0].text == "Deleted by cli:bob@web-1"
    assert ("interval", "600", "none") in changes[0].fields
    (answer,) = details.question.answers
    assert answer.answer.verdict == "none"
    assert "Restore" not in page.text


def test_links_to_the_form_lead_there(
    gone: RedisCronJob, schedule: Make, operator: Client, client_with: Callable[..., Client]
) -> None:
    """Those of Django's log too, and back as soon as the schedule exists."""
    for page in ("change", "history", "delete"):
        response = operator.get(f"{LIST}job/{page}/")
        assert (response.status_code, response.headers["Location"]) == (302, deleted_url())
    assert operator.get(change_url("other")).headers["Location"] == "/admin/"
    assert client_with("delete").get(f"{LIST}job/delete/").headers["Location"] == "/admin/"
    schedule("job")
    assert operator.get(deleted_url()).headers["Location"] == change_url("job")


def test_who_may_not_look_sees_nothing(
    gone: RedisCronJob, client_with: Callable[..., Client]
) -> None:
    for permissions in ((), ("add", "delete", "run")):
        client = client_with(*permissions)
        assert client.get(DELETED).status_code == 403
        assert client.get(deleted_url()).status_code == 403
    viewer = client_with("view")
    assert viewer.get(deleted_url("other")).status_code == 404


def test_an_outage_is_told(operator: Client, gone: RedisCronJob, connection: Redis) -> None:
    with override_settings(REDISCRON={"QUEUE": "nowhere"}):
        for url in (DELETED, deleted_url(), f"{revert_url()}?revision=0"):
            response = operator.get(url)
            assert response.status_code == 503
            assert "Redis at 127.0.0.1:1/0 cannot be reached" in response.text
    connection.set(GONE, "no sorted set")
    response = operator.get(DELETED)
    assert response.status_code == 503
    assert "WRONGTYPE" in response.text


# Restoring


def test_restores_any_of_its_revisions(
    gone: RedisCronJob, operator: Client, connection: Redis
) -> None:
    page = operator.get(deleted_url())
    last = page.context["restored"]
    assert last == gone.revision
    for revision in (last, last - 1):
        assert f'href="{revert_url()}?revision={revision}"' in page.text
    assert f"?revision={last + 1}" not in page.text

    asked = operator.get(revert_url(), {"revision": last - 1})
    assert [(each.label, each.new) for each in asked.context["fields"]] == [
        ("function", ALLOWED),
        ("queue", "default"),
        ("arguments", '["a"]'),
        ("interval", "300"),
    ]
    assert not connection.exists("rq:cron_job:job")

    done = operator.post(revert_url(), ask(operator, last - 1))

    assert done.headers["Location"] == change_url("job")
    assert messages(done) == [f"Schedule “job” was restored to revision {last - 1}."]
    job = RedisCronJob.fetch("job", connection)
    assert (job.interval, job.args, job.enabled) == (300, ("a",), True)
    newest = job.get_changes(connection)[0]
    assert (newest.what, newest.actor) == ("reverted", "admin:user-view-add-change-delete-run")
    assert LogEntry.objects.get().action_flag == ADDITION
    assert not operator.get(DELETED).context["rows"]


def test_needs_the_permission_to_add(
    gone: RedisCronJob, client_with: Callable[..., Client], connection: Redis
) -> None:
    stranger = client_with("view", "change", "delete", "run")
    assert revert_url() not in stranger.get(deleted_url()).text
    sent = {"revision": 0, "version": ""}
    assert stranger.get(revert_url(), sent).status_code == 403
    assert stranger.post(revert_url(), sent).status_code == 403
    assert not connection.exists("rq:cron_job:job")
    assert client_with("add").get(revert_url(), sent).status_code == 403
    careless = client_with("view", "add")
    careless.handler.enforce_csrf_checks = True
    assert careless.post(revert_url(), sent).status_code == 403
    careless.handler.enforce_csrf_checks = False
    assert careless.post(revert_url(), sent).status_code == 302
    assert connection.exists("rq:cron_job:job")


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"func_name": "os.path.join"}, "may not be chosen here"),
        ({"func_name": ALLOWED, "on_success": "os.path.join"}, "may not be chosen here"),
    ],
)
def test_what_the_form_would_refuse_is_not_restored(
    options: dict[str, Any], refusal: str, schedule: Make, operator: Client, connection: Redis
) -> None:
    schedule("job", **options).delete()
    sent = {"revision": 0, "version": ""}
    for response in (operator.get(revert_url(), sent), operator.post(revert_url(), sent)):
        assert refusal in messages(response)[-1]
        assert response.headers["Location"] == deleted_url()
    assert not connection.exists("rq:cron_job:job")
    assert not LogEntry.objects.exists()


def test_what_was_created_meanwhile_is_not_replaced(
    gone: RedisCronJob, schedule: Make, operator: Client, connection: Redis
) -> None:
    asked = ask(operator, 0)
    schedule("job", interval=42)
    done = operator.post(revert_url(), asked)
    assert "The schedule was changed meanwhile" in messages(done)[0]
    assert RedisCronJob.fetch("job", connection).interval == 42


def test_odd_revisions(gone: RedisCronJob, operator: Client) -> None:
    assert operator.get(revert_url(), {"revision": "x"}).status_code == 404
    for number in ("-7", "999", str(gone.revision + 1)):
        response = operator.get(revert_url(), {"revision": number})
        assert response.headers["Location"] == deleted_url()
        assert "is not on record" in messages(response)[0]


# Schedules that cannot be read


@pytest.mark.parametrize("damage", ["a field", "another type"])
def test_a_damaged_schedule_is_restored(
    damage: str,
    schedule: Make,
    operator: Client,
    client_with: Callable[..., Client],
    connection: Redis,
) -> None:
    schedule("job", func_name=ALLOWED, interval=300)
    if damage == "a field":
        connection.hset("rq:cron_job:job", "interval", "often")
    else:
        connection.delete("rq:cron_job:job")
        connection.set("rq:cron_job:job", "no hash")
    page = operator.get(change_url("job"))
    assert f'href="{revert_url()}?revision=0"' in page.text
    sent = {"revision": 0, "version": ""}
    for lacking in ("add", "change"):
        others = {"view", "add", "change"} - {lacking}
        assert client_with(*others).post(revert_url(), sent).status_code == 403
    asked = ask(operator, 0)
    if damage == "a field":
        connection.hset("rq:cron_job:job", "revision", 5)
        again = operator.post(revert_url(), asked)
        assert "The schedule was changed meanwhile" in messages(again)[-1]
        asked = ask(operator, 0)
    operator.post(revert_url(), asked)
    assert RedisCronJob.fetch("job", connection).interval == 300
    assert LogEntry.objects.get().action_flag == CHANGE


def test_a_damaged_schedule_that_the_code_locks_stays(
    schedule: Make, operator: Client, connection: Redis
) -> None:
    schedule("job", func_name=ALLOWED)
    facts = {"interval": "often", "locked": "1", "source": "code", "place": "apps.py:1"}
    connection.hset("rq:cron_job:job", mapping=facts)
    done = operator.post(revert_url(), ask(operator, 0))
    assert "is locked" in messages(done)[0]
    assert connection.hget("rq:cron_job:job", "interval") == b"often"
