"""The parameters of a function as inputs over the JSON of the arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST
from .forms import ADD, change_url, errors, inputs, load, send

Make = Callable[..., RedisCronJob]
URL = f"{LIST}call/"
CHARGE = "tests.app.typed.charge"
MIXED = "tests.app.typed.mixed"
COPY = "tests.app.typed.copy_table"
CHANGE = change_url("job")
RIGHT = {"id": "new", "cron": "@daily", "queue_name": "default"}


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.REDISCRON = {"ALLOWED_FUNCTIONS": ["tests.app.typed.*"]}


def ask(client: Client, function: str, args: Any = (), kwargs: Any = (), **sent: Any) -> Any:
    """What the page shows of a call."""
    texts = {"args": json.dumps(list(args)), "kwargs": json.dumps(dict(kwargs))}
    response = client.post(URL, {"func_name": function, **texts, **sent})
    assert response.status_code == 200
    return response.json()


def typed(values: dict[str, str], **texts: str) -> dict[str, str]:
    """A form whose inputs of parameters count, with these texts in them."""
    names = {f"param-{name}": text for name, text in texts.items()}
    assert names.keys() <= values.keys()
    return {**values, **names, "parameters": values["func_name"]}


TYPED = [
    ("customer", " ACME ", " ACME "),
    ("amount", " 12.50", "12.50"),
    ("invoices", "12345678901234567890", 12345678901234567890),
    ("share", "1", 1.0),
    ("dry_run", "true", True),
    ("plan", '"pro"', "pro"),
    ("level", "1", 1),
    ("level", '"<b>high</b>"', "<b>high</b>"),
    ("level", "null", None),
    ("day", "2026-12-24", "2026-12-24"),
    ("at", "2026-12-24 18:00Z", "2026-12-24T18:00:00+00:00"),
    ("api_key", "new", "new"),
    ("options", '{"a": 1}', {"a": 1}),
]


def test_each_type_becomes_its_json(operator: Client, schedule: Make, connection: Redis) -> None:
    for name, text, value in TYPED:
        schedule("job", func_name=CHARGE, kwargs={"amount": "1", "customer": "X"})
        form = typed(load(operator, CHANGE), **{name: text})
        assert send(operator, CHANGE, form).status_code == 302, name
        stored = RedisCronJob.fetch("job", connection).kwargs
        assert list(stored)[:2] == ["amount", "customer"]
        assert (stored[name], type(stored[name])) == (value, type(value)), name


WRONG = [
    ("customer", "", "required"),
    ("amount", "much", "Enter a number"),
    ("amount", "NaN", "Enter a number"),
    ("invoices", "1.5", "whole number"),
    ("share", "inf", "Enter a number"),
    ("dry_run", "maybe", "one of the choices"),
    ("plan", '"enterprise"', "one of the choices"),
    ("level", '"HIGH"', "one of the choices"),
    ("day", "2026-02-30", "valid date"),
    ("at", "tomorrow", "valid date/time"),
    ("options", '{"a": ', "line 1, column 6"),
]


def test_what_is_wrong_is_told_once_at_its_input_and_nothing_is_written(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=CHARGE, args=("X",), kwargs={"amount": "1"})
    before = connection.hgetall("rq:cron_job:job")
    loaded = load(operator, CHANGE)
    for name, text, words in WRONG:
        response = send(operator, CHANGE, typed(loaded, **{name: text}))
        found = errors(response)
        assert list(found) == [f"param-{name}"]
        assert words in found[f"param-{name}"][0]
        assert response.text.count(f'id="id_param-{name}_error"') == 1
        assert 'data-mode="inputs"' in response.text
        shown = inputs(response)
        assert shown[f"param-{name}"] == (text if "choices" not in words else "")
        assert connection.hgetall("rq:cron_job:job") == before
        answer = ask(
            operator, CHARGE, ["X"], {"amount": "1"}, **{f"param-{name}": text}, parameters=CHARGE
        )
        assert words in answer["errors"][f"id_param-{name}"]
        assert answer["kwargs"] == '{"amount": "1"}'


ODD = [
    (CHARGE, ["a\nb"], {"amount": "1.10", "dry_run": None, "invoices": 1.0, "share": 1}),
    (CHARGE, [""], {"note": "\r\n", "amount": 7, "level": "none", "day": "24.12.2026", "at": ""}),
    (CHARGE, [], {"note": " ", "plan": True, "options": [1], "amount": "x", "customer": ["x"]}),
    (MIXED, [1, 2, 3, 4, 5], {"z": {"deep": [1e100, -0.0]}, "unknown": "é", "a": None}),
    (MIXED, [True, "2"], {"third": None}),
    (MIXED, [1], {"second": '"'}),
    (COPY, [], {"target": "b", "source": "a"}),
    (COPY, [], {}),  # a parameter came later
    (COPY, ["a"], {"other": 1}),  # one is gone
    (COPY, ["a", "b", "c"], {}),
]


@pytest.mark.parametrize("how", ["inputs", "json"])
def test_untouched_arguments_stay_to_the_byte(
    how: str, operator: Client, schedule: Make, connection: Redis
) -> None:
    for function, args, kwargs in ODD:
        schedule("job", func_name=function, args=args, kwargs=kwargs)
        before = connection.hmget("rq:cron_job:job", "args", "kwargs", "updated_at")
        form = load(operator, CHANGE)
        form = typed(form) if how == "inputs" else form
        assert send(operator, CHANGE, form).status_code == 302
        assert connection.hmget("rq:cron_job:job", "args", "kwargs", "updated_at") == before
        assert send(operator, CHANGE, form, interval="77").status_code == 302
        assert connection.hmget("rq:cron_job:job", "args", "kwargs") == before[:2]


def test_what_is_left_alone_stays_exactly_beside_what_is_changed(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    odd = {"share": 1, "note": " a\nb ", "amount": "1.10", "level": None, "invoices": 1.0}
    schedule("job", func_name=CHARGE, args=("X",), kwargs=odd)
    form = typed(load(operator, CHANGE), customer="Y", dry_run="false")
    assert send(operator, CHANGE, form).status_code == 302
    wanted = json.dumps({**odd, "dry_run": False}, separators=(",", ":")).encode()
    assert connection.hmget("rq:cron_job:job", "args", "kwargs") == [b'["Y"]', wanted]


def test_what_an_input_cannot_show_is_json(operator: Client) -> None:
    answer = ask(operator, CHARGE, ["X"], {"amount": "1", "invoices": "many", "note": ""})
    shown = {key: text for key, text in _inputs(answer).items() if text}
    assert shown == {
        "param-customer": "X", "param-amount": "1", "param-invoices": '"many"', "param-note": '""'
    }  # fmt: skip
    for args, kwargs in ((["a", "b", "c"], {}), ([], {"other": 1}), (["a"], {"source": 1})):
        answer = ask(operator, COPY, args, kwargs)
        assert answer["function"] == ""
        assert "do not fit" in answer["html"]
        assert answer["problem"]


def _inputs(answer: Any) -> dict[str, str]:
    from .forms import _Inputs

    return _Inputs(f'<form id="schedule_form">{answer["html"]}</form>').values


@pytest.mark.parametrize(
    ("args", "kwargs", "changes", "wanted"),
    [
        ([1, 2], {}, {"third": "9"}, ([1, 2], {"third": 9})),
        ([1, 2, 3], {}, {"second": "{}", "third": ""}, ([1, {}], {})),
        ([1, 2, 3, 4], {"z": 1}, {"rest": "[5]", "more": '{"y": 2}'}, ([1, 2, 3, 5], {"y": 2})),
        ([1], {"second": 2}, {"first": "7"}, ([7], {"second": 2})),
        ([1], {"second": 2}, {"third": "3", "rest": "[4]"}, ([1, 2, 3, 4], {})),
        ([], {}, {"first": "1", "second": '"x"'}, ([1], {"second": "x"})),
    ],
)
def test_calls_of_all_kinds_are_made(
    args: Any, kwargs: Any, changes: Any, wanted: Any, operator: Client
) -> None:
    sent = {f"param-{name}": text for name, text in changes.items()}
    answer = ask(operator, MIXED, args, kwargs, parameters=MIXED, **sent)
    assert (json.loads(answer["args"]), json.loads(answer["kwargs"])) == wanted
    assert answer["errors"] == {}


@pytest.mark.parametrize(
    ("args", "kwargs", "changes", "where"),
    [
        ([1, 2], {}, {"rest": "[4]"}, "third"),
        ([1, 2], {}, {"more": '{"third": 4}'}, "more"),
        ([1], {"second": "********"}, {"third": "3", "rest": "[4]"}, "second"),
    ],
)
def test_calls_that_cannot_be_made_are_refused(
    args: Any, kwargs: Any, changes: Any, where: str, operator: Client
) -> None:
    sent = {f"param-{name}": text for name, text in changes.items()}
    answer = ask(operator, MIXED, args, kwargs, parameters=MIXED, **sent)
    assert list(answer["errors"]) == [f"id_param-{where}"]
    assert (json.loads(answer["args"]), json.loads(answer["kwargs"])) == (args, kwargs)


def test_what_is_missing_is_told_before_saving_and_at_its_input(
    operator: Client, connection: Redis
) -> None:
    answer = ask(operator, CHARGE, parameters=CHARGE, **{"param-invoices": "3"})
    assert (answer["missing"], answer["errors"]) == (["customer", "amount"], {})
    assert answer["kwargs"] == '{"invoices": 3}'
    assert "missing a required argument" in ask(operator, CHARGE)["problem"]
    form = {**load(operator, ADD), **RIGHT, "func_name": CHARGE, "parameters": CHARGE}
    response = send(operator, ADD, form, **{"param-invoices": "3"})
    assert list(errors(response)) == ["param-customer", "param-amount"]
    assert inputs(response)["param-invoices"] == "3"
    assert not connection.exists("rq:cron_job:new")
    form = typed(inputs(response), customer="X", amount="1")
    assert send(operator, ADD, form).status_code == 302
    assert RedisCronJob.fetch("new", connection).kwargs == {
        "customer": "X", "amount": "1", "invoices": 3
    }  # fmt: skip


def test_an_error_of_the_json_shows_the_json(operator: Client, schedule: Make) -> None:
    schedule("job", func_name=CHARGE, args=("a",), kwargs={"amount": "1"})
    form = load(operator, CHANGE)
    for sent, field in (
        (typed(form, invoices="9" * 4000), "kwargs"),
        (typed(form) | {"args": '["a"'}, "args"),
    ):
        response = send(operator, CHANGE, sent)
        assert 'data-mode="json"' in response.text
        assert list(errors(response)) == [field]
        assert "not valid JSON" not in response.text  # told once, at the box


def test_secrets_stay_hidden_and_stay(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("job", func_name=CHARGE, kwargs={"customer": "X", "amount": "1", "api_key": "hush"})
    page = operator.get(CHANGE)
    assert "hush" not in page.text
    assert "code-secret" not in page.text
    form = inputs(page)
    assert form["param-api_key"] == "********"
    assert send(operator, CHANGE, typed(form, invoices="3")).status_code == 302
    assert RedisCronJob.fetch("job", connection).kwargs["api_key"] == "hush"
    send(operator, CHANGE, typed(load(operator, CHANGE), api_key="other"))
    assert RedisCronJob.fetch("job", connection).kwargs["api_key"] == "other"
    send(operator, CHANGE, typed(load(operator, CHANGE), api_key=""))
    assert "api_key" not in RedisCronJob.fetch("job", connection).kwargs
    response = send(operator, CHANGE, typed(load(operator, CHANGE), api_key="********"))
    assert "is hidden, and none is stored here" in errors(response)["param-api_key"][0]
    told = errors(send(operator, CHANGE, load(operator, CHANGE), kwargs="{}"))["args"][0]
    assert "it is called as charge(" in told
    assert "code-secret" not in told


def test_long_arguments_stay_json(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("job", func_name=COPY, args=("x" * 1_300_000,))  # twice, it would be refused
    page = operator.get(CHANGE)
    assert "too long to be edited by parameter" in page.text
    assert send(operator, CHANGE, inputs(page), kwargs='{"target": "b"}').status_code == 302
    assert RedisCronJob.fetch("job", connection).kwargs == {"target": "b"}
    assert ask(operator, COPY, ["x" * 200_000])["problem"] == ""


def test_changes_of_others_are_shown_in_the_inputs(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    stored = schedule("job", func_name=CHARGE, args=("X",), kwargs={"amount": "1"})
    mine = typed(load(operator, CHANGE), customer="mine")
    stored.kwargs = {"amount": "2"}
    stored.save()
    response = send(operator, CHANGE, mine)
    assert "arguments" in errors(response)["__all__"][0]
    shown = inputs(response)
    assert (shown["param-customer"], shown["param-amount"]) == ("mine", "2")
    assert send(operator, CHANGE, typed(shown)).status_code == 302
    job = RedisCronJob.fetch("job", connection)
    assert (job.args, job.kwargs) == (("mine",), {"amount": "2"})


def test_another_function_than_that_of_the_inputs_means_json(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=COPY, args=("a",))
    form = typed(load(operator, CHANGE), source="b")
    send(operator, CHANGE, form, func_name="tests.app.tasks.build_report")
    job = RedisCronJob.fetch("job", connection)
    assert (job.func_name, job.args) == ("tests.app.tasks.build_report", ("a",))


def test_a_function_that_may_not_be_chosen_is_told_once(operator: Client) -> None:
    form = {**load(operator, ADD), **RIGHT, "func_name": "os.system"}
    assert send(operator, ADD, form).text.count("may not be chosen") == 1


def test_nothing_is_imported_that_is_not_allowed(operator: Client) -> None:
    for name in ("tests.app.unimported.function", "os.system", "x" * 100_000, "a..b", "a."):
        answer = ask(operator, name, parameters=name, **{"param-x": "1"})
        assert answer["function"] == ""
        assert "ALLOWED_FUNCTIONS" in answer["html"]
        assert len(answer["html"]) < 1000
    assert "tests.app.unimported" not in sys.modules


def test_annotations_that_lead_nowhere_are_json(operator: Client) -> None:
    shown = ask(operator, MIXED)["html"]
    assert 'name="param-unknown"' in shown
    assert 'name="param-first"' in shown
    answer = ask(operator, MIXED, parameters=MIXED, **{"param-first": "x", "param-unknown": "x"})
    assert "whole number" in answer["errors"]["id_param-first"]
    assert "Not JSON" in answer["errors"]["id_param-unknown"]


def test_what_the_code_says_is_escaped(operator: Client, schedule: Make) -> None:
    schedule("job", func_name=CHARGE, kwargs={"customer": '"><i>', "amount": "1"})
    for shown in (operator.get(CHANGE).text, ask(operator, CHARGE)["html"]):
        assert "<script>alert" not in shown
        assert "<b>high" not in shown
        assert "&lt;b&gt;high" in shown
        assert "<i>" not in shown


@pytest.mark.parametrize(
    ("permissions", "status"),
    [(["add"], 200), (["change"], 200), (["view", "delete", "run"], 403), ([], 403)],
)
def test_who_may_ask(
    permissions: list[str], status: int, client_with: Callable[..., Client]
) -> None:
    client = client_with(*permissions)
    assert client.post(URL, {"func_name": COPY}).status_code == status
    if status == 200:
        assert client.get(URL).status_code == 405
        client.handler.enforce_csrf_checks = True
        assert client.post(URL, {"func_name": COPY}).status_code == 403


def test_who_may_only_look_sees_json(client_with: Any, schedule: Make, client: Client) -> None:
    schedule("job", func_name=CHARGE, kwargs={"customer": "X", "amount": "1"})
    page = client_with("view").get(CHANGE)
    assert page.status_code == 200
    assert "rediscron-parameters" not in page.text
    assert client.post(URL).status_code == 302
