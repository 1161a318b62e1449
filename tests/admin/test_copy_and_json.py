"""A copy of a schedule, and a schedule as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils.encoding import iri_to_uri
from django.utils.html import escape
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.cli import main

from .conftest import LIST
from .forms import ADD, change_url, errors, inputs, load, messages, send

Make = Callable[..., RedisCronJob]
CHARGE = "tests.app.typed.charge"
EVIL = 'a/b "c" <script>alert(1)</script>&d=é'


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.REDISCRON = {"ALLOWED_FUNCTIONS": ["tests.app.typed.*"]}


def json_url(id: str) -> str:
    return f"{LIST}{quote(id)}/json/"


def test_a_copy_says_the_same(operator: Client, schedule: Make, connection: Redis) -> None:
    original = schedule(
        EVIL,
        func_name=CHARGE,
        args=("X",),
        kwargs={"amount": "1", "level": 1},
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        jitter=5,
        tags=["a", "b"],
        retry=3,
        result_ttl=9,
        notify={"failures": 2},
        overlap="skip",
        enabled=False,
    )
    before = connection.hgetall(f"rq:cron_job:{EVIL}")
    page = operator.get(change_url(EVIL)).text
    address = page.partition(f'href="{ADD}?copy=')[2].partition('"')[0]
    assert address
    shown = operator.get(f"{ADD}?copy={address}")
    assert "<script>alert(1)" not in shown.text
    form = inputs(shown)
    assert form["id"] == f"{EVIL}-copy"
    assert 'id="id_param-customer"' in shown.text
    assert send(operator, ADD, {**form, "parameters": CHARGE}).status_code == 302
    copy = RedisCronJob.fetch(f"{EVIL}-copy", connection)
    same = {**original.definition(), "id": "", "name": "", "created_at": "", "updated_at": ""}
    assert {**copy.definition(), **dict.fromkeys(same.keys() - copy.definition().keys(), "")} | {
        "id": "", "name": "", "created_at": "", "updated_at": ""
    } == same  # fmt: skip
    assert connection.hgetall(f"rq:cron_job:{EVIL}") == before
    again = send(operator, ADD, form)
    assert "already exists" in errors(again)["id"][0]


def test_secrets_are_not_copied(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("job", func_name=CHARGE, kwargs={"customer": "X", "amount": "1", "api_key": "hush"})
    response = operator.get(f"{ADD}?copy=job")
    assert "hush" not in response.text
    form = inputs(response)
    for mode, field in (("", "kwargs"), (CHARGE, "param-api_key")):
        refused = send(operator, ADD, {**form, "parameters": mode})
        assert list(errors(refused)) == [field]
        assert "is hidden, and none is stored here: enter it" in errors(refused)[field][0]
    assert not connection.exists("rq:cron_job:job-copy")
    send(operator, ADD, {**form, "parameters": CHARGE}, **{"param-api_key": "own"})
    assert RedisCronJob.fetch("job-copy", connection).kwargs["api_key"] == "own"


def test_what_cannot_be_copied_is_told(operator: Client, schedule: Make) -> None:
    schedule("job", func_name="os.system")
    response = operator.get(f"{ADD}?copy=job")
    assert "may not be chosen here; declare a schedule of it in code" in response.text
    response = operator.get(f"{ADD}?copy=none")
    assert inputs(response)["id"] == ""
    assert "There is no schedule “none”" in messages(response)[0]


def test_webhooks_are_not_copied(operator: Client, schedule: Make, connection: Redis) -> None:
    webhooks = pytest.importorskip("rq.webhook")
    hook = webhooks.Webhook("https://example.com/hook", "finished")
    schedule("job", func_name=CHARGE, kwargs={"customer": "X", "amount": "1"}, webhooks=[hook])
    response = operator.get(f"{ADD}?copy=job")
    assert "example.com" not in response.text
    assert "webhooks of “job” are not copied" in messages(response)[0]
    send(operator, ADD, inputs(response))
    assert not RedisCronJob.fetch("job-copy", connection).job_options.get("webhooks")


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        (["add", "view"], 200),
        (["add", "change"], 200),
        (["add"], 403),
        (["view", "change", "delete", "run"], 403),
    ],
)
def test_who_may_copy(
    permissions: list[str], status: int, client_with: Callable[..., Client], schedule: Make
) -> None:
    schedule("job", func_name=CHARGE, args=("private",))
    client = client_with(*permissions)
    response = client.get(f"{ADD}?copy=job")
    assert response.status_code == status
    assert ("private" in response.text) == (status == 200)
    page = client.get(change_url("job"))
    if page.status_code == 200:
        assert ("?copy=job" in page.text) == (status == 200)


def test_the_json_is_that_of_the_command(
    operator: Client, schedule: Make, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule(EVIL, func_name=CHARGE, kwargs={"amount": "1", "api_key": "hush"})
    response = operator.get(json_url(EVIL))
    assert response["Content-Type"] == "application/json"
    assert f'href="{escape(iri_to_uri(json_url(EVIL)))}"' in operator.get(change_url(EVIL)).text
    with pytest.raises(SystemExit):
        main(["show", EVIL, "--json", "--url", redis_url])
    assert response.json() == json.loads(capsys.readouterr().out)
    assert response.json()["schedule"]["kwargs"] == {"amount": "1", "api_key": "********"}
    assert "hush" not in response.text


def test_the_json_of_what_is_damaged_deleted_or_never_was(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    connection.hset("rq:cron_job:bad", mapping={"id": "bad", "func_name": "a.b", "interval": "x"})
    assert "queue_name" in operator.get(json_url("bad")).json()["damaged"]
    schedule("job").delete()
    gone = operator.get(json_url("job")).json()
    assert (gone["id"], gone["schedule"], bool(gone["changes"])) == ("job", None, True)
    assert operator.get(json_url("never")).status_code == 404
    assert operator.post(json_url("job")).status_code == 405


def test_who_may_see_json(
    client_with: Callable[..., Client], schedule: Make, client: Client
) -> None:
    schedule("job")
    assert client_with("view").get(json_url("job")).status_code == 200
    assert client_with("add", "delete", "run").get(json_url("job")).status_code == 403
    assert client.get(json_url("job")).status_code == 302


def test_the_json_needs_redis(operator: Client, settings: Any) -> None:
    settings.REDISCRON = {"QUEUE": "nowhere"}
    response = operator.get(json_url("job"))
    assert response.status_code == 503
    assert "secret" not in response.text


def test_values_in_the_address_still_fill_the_form(operator: Client) -> None:
    assert load(operator, f"{ADD}?interval=90")["interval"] == "90"
