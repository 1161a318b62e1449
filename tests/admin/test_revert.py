"""Reverting to an earlier revision: asked first, with the checks of any edit, and logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST
from .forms import change_url, messages

Make = Callable[..., RedisCronJob]

ALLOWED = "tests.app.tasks.build_report"


def revert_url(id: str = "job") -> str:
    return f"{LIST}{quote(id)}/revert/"


def ask(client: Client, revision: int, id: str = "job") -> dict[str, str]:
    """What the question about a revision would send."""
    response = client.get(revert_url(id), {"revision": revision})
    assert response.status_code == 200, response
    return {name: response.context[name] for name in ("revision", "version")}


def stored(connection: Redis, id: str = "job") -> RedisCronJob:
    return RedisCronJob.fetch(id, connection)


@pytest.fixture
def changed(schedule: Make, connection: Redis) -> RedisCronJob:
    """A schedule of which interval and arguments were changed."""
    job = schedule("job", interval=300, func_name=ALLOWED, args=("a",))
    job.interval, job.args = 600, ("b",)
    job.save()
    return stored(connection)


def test_asks_and_writes_the_earlier_definition_as_a_new_change(
    changed: RedisCronJob, operator: Client, connection: Redis
) -> None:
    page = operator.get(change_url("job")).text
    first = changed.revision - 1
    assert f'href="{revert_url()}?revision={first}"' in page
    assert f"?revision={changed.revision}" not in page

    asked = operator.get(revert_url(), {"revision": first})
    assert [each[1:] for each in asked.context["fields"]] == [('["b"]', '["a"]'), ("600", "300")]
    assert stored(connection).interval == 600

    done = operator.post(revert_url(), ask(operator, first))

    assert done.headers["Location"] == change_url("job")
    (told,) = messages(done)
    assert told == f"Reverted to revision {first}: arguments and interval."
    job = stored(connection)
    assert (job.interval, job.args, job.revision) == (300, ("a",), changed.revision + 1)
    newest = job.get_changes(connection)[0]
    assert (newest.what, newest.actor) == ("reverted", "admin:user-view-add-change-delete-run")
    entry = LogEntry.objects.get()
    assert entry.object_id == "job"
    assert "interval: 600 → 300" in entry.get_change_message()


def test_who_saw_an_older_version_looks_again(
    changed: RedisCronJob, operator: Client, connection: Redis
) -> None:
    asked = ask(operator, changed.revision - 1)
    theirs = stored(connection)
    theirs.jitter = 5
    theirs.save()

    done = operator.post(revert_url(), asked, follow=True)

    assert "The schedule was changed meanwhile" in done.text
    assert done.context["revision"] == changed.revision - 1
    assert (stored(connection).interval, stored(connection).jitter) == (600, 5)
    assert not LogEntry.objects.exists()
    operator.post(revert_url(), ask(operator, changed.revision - 1))
    assert (stored(connection).interval, stored(connection).jitter) == (300, 0)


def test_needs_the_permission_to_change(
    changed: RedisCronJob, client_with: Callable[..., Client], connection: Redis
) -> None:
    stranger = client_with("view", "add", "delete", "run")
    assert revert_url() not in stranger.get(change_url("job")).text
    sent = {"revision": changed.revision - 1, "version": changed.version}
    assert stranger.get(revert_url(), sent).status_code == 403
    assert stranger.post(revert_url(), sent).status_code == 403
    assert stored(connection).interval == 600
    careless = client_with("change")
    careless.handler.enforce_csrf_checks = True
    assert careless.post(revert_url(), sent).status_code == 403


def test_what_the_code_locks_stays(
    changed: RedisCronJob, operator: Client, connection: Redis
) -> None:
    connection.hset("rq:cron_job:job", mapping={"locked": "1", "source": "code"})
    sent = {"revision": changed.revision - 1, "version": stored(connection).version}
    assert revert_url() not in operator.get(change_url("job")).text
    assert operator.post(revert_url(), sent).status_code == 403
    assert stored(connection).interval == 600


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"func_name": "os.path.join"}, lambda job: setattr(job, "func_name", ALLOWED)),
        ({"on_success": "os.path.join"}, lambda job: job.job_options.pop("on_success")),
    ],
)
def test_what_the_form_would_refuse_does_not_come_back(
    options: dict[str, Any],
    change: Callable[[RedisCronJob], None],
    schedule: Make,
    operator: Client,
    connection: Redis,
) -> None:
    job = schedule("job", **options)
    change(job)
    job.save()
    before = connection.hgetall("rq:cron_job:job")
    sent = {"revision": 0, "version": job.version}
    for response in (operator.get(revert_url(), sent), operator.post(revert_url(), sent)):
        assert "may not be chosen here" in messages(response)[-1]
    assert connection.hgetall("rq:cron_job:job") == before
    assert not LogEntry.objects.exists()


def test_webhooks_do_not_come_back(schedule: Make, operator: Client) -> None:
    webhooks = pytest.importorskip("rq.webhook")
    job = schedule("job", webhooks=[webhooks.Webhook("https://example.com/hook", "finished")])
    job.job_options["webhooks"] = None
    job.save()
    told = messages(operator.get(revert_url(), {"revision": 0}))
    assert "webhooks can only be set in code" in told[0]


def test_arguments_of_a_function_that_is_not_allowed_stay(
    schedule: Make, operator: Client, connection: Redis
) -> None:
    job = schedule("job", func_name="os.path.join", args=("a",))
    job.args = ("b",)
    job.save()
    told = messages(operator.get(revert_url(), {"revision": 0}))
    assert "may not be chosen here" in told[0]


def test_odd_revisions(changed: RedisCronJob, operator: Client, connection: Redis) -> None:
    for text in ("", "x", "1.5"):
        assert operator.get(revert_url(), {"revision": text}).status_code == 404
    for number in ("-7", "999", "9" * 99):
        told = messages(operator.get(revert_url(), {"revision": number}))
        assert "is not on record" in told[0]
    asked = operator.get(revert_url(), {"revision": changed.revision})
    assert "already matches revision" in asked.text
    assert operator.get(revert_url("gone"), {"revision": 1}).status_code == 404
