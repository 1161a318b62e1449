"""What is sent may be of any size: it is judged quickly, and the errors are a line each."""

from __future__ import annotations

import json
import re
from time import thread_time

import pytest
from django.test import Client, override_settings

from django_rediscron.admin.changeform.preview import PreviewForm

from .conftest import LIST
from .forms import ADD, errors, load, send

LONG = 100_000
LINE = 1000

HOSTILE = {
    "a text": "x" * LONG,
    "digits": "9" * LONG,
    "commas": "1," * (LONG // 2),
    "a dotted name": "a." * (LONG // 2) + "b",
    "an existing module": "os." * (LONG // 3) + "b",
    "brackets": "[" * LONG,
    "lists": "[" * (LONG // 2) + "]" * (LONG // 2),
    "keys": json.dumps({str(n): n for n in range(20_000)})[:-1] + ', "19999": 1}',
    "a long key": json.dumps({"x" * LONG: 1})[:-1] + f', "{"x" * LONG}": 1}}',
    "a number": f"[{'9' * LONG}]",
}


@pytest.mark.parametrize("hostile", HOSTILE)
@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=None)
def test_every_field_refuses_it_in_a_line(hostile: str, operator: Client) -> None:
    empty = load(operator, ADD)
    names = [name for name in empty if not name.startswith(("csrf", "_", "loaded", "version"))]
    assert {"cron", "meta", "overlap", "start_at_2", "retry_intervals"} <= {*names}
    for sent in (names, ["id", "timezone", "description"]):
        right = {"id": "new", "func_name": "tests.app.tasks.build_report", "cron": "* * * * *"}
        right |= dict.fromkeys(sent, HOSTILE[hostile])
        for name, texts in errors(send(operator, ADD, empty, **right)).items():
            assert all(len(text) < LINE for text in texts), name


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_preview_refuses_it_in_a_line(hostile: str, operator: Client) -> None:
    for name in ("interval", "cron", "timezone", "start_at_0", "start_at_2", "max_runs", "jitter"):
        timing = {"cron": "* * * * *", name: HOSTILE[hostile]}
        response = operator.get(f"{LIST}preview/", timing)
        assert response.status_code == 200
        assert all(len(each) < LINE for each in re.findall(r"<li>(.*?)</li>", response.text, re.S))


@pytest.mark.parametrize("expression", ["1,2 * * * *" * 40_000, "0," * LONG + "0 * * * *"])
def test_an_expression_is_previewed_in_no_time(expression: str) -> None:
    spent = []
    for round in range(3):
        begin = thread_time()
        preview = PreviewForm({"cron": f"{round},{expression}"}).preview()
        spent.append(thread_time() - begin)
        assert preview is not None
        assert all(len(error) < LINE for error in preview.errors)
    assert min(spent) < 0.05
