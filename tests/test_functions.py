"""The functions that people may name in the admin."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.test import override_settings
from rq import Callback

from django_rediscron import InvalidScheduleError, register
from django_rediscron.allowlist import (
    FunctionNotAllowedError,
    allowed_function,
    allowed_functions,
    check_call,
    is_allowed,
)

from . import tasks
from .app import tasks as app_tasks


def allowing(*patterns: str) -> Any:
    return override_settings(REDISCRON={"ALLOWED_FUNCTIONS": list(patterns)})


def test_nothing_but_what_the_code_decorates_is_allowed_at_first(starting: None) -> None:
    assert allowed_functions() == [
        "tests.app.jobs.nightly.back_up",
        "tests.app.tasks.build_report",
        "tests.app.tasks.send_report",
    ]
    assert allowed_function("tests.app.tasks.build_report") is app_tasks.build_report


@pytest.mark.parametrize(
    "name",
    [
        "tests.app.tasks.undecorated",
        "tests.app.tasks.build_report.delay",
        "tests.app.tasks.build_report.enqueue",
        "tests.app.tasks.system",
        "os.system",
        "eval",
        "tests.app.tasks",
        "",
        "tests.app.tasks.build_report ",
        "tests..tasks",
    ],
)
def test_everything_else_is_refused_with_the_remedy(starting: None, name: str) -> None:
    assert not is_allowed(name)
    with pytest.raises(FunctionNotAllowedError, match="ALLOWED_FUNCTIONS"):
        allowed_function(name)


def test_what_is_declared_is_allowed_with_its_callbacks(starting: None) -> None:
    assert not is_allowed("tests.tasks.echo")
    done = Callback(app_tasks.undecorated, timeout=90)
    register(tasks.echo, "default", id="echo", interval=60, on_success=done)

    for name in ("tests.tasks.echo", "tests.app.tasks.undecorated"):
        assert is_allowed(name)
        assert name in allowed_functions()


def test_a_setting_names_functions_or_all_of_a_module(starting: None) -> None:
    with allowing("tests.tasks.echo", "tests.app.tasks.*"):
        assert set(allowed_functions()) == {
            "tests.app.jobs.nightly.back_up",
            "tests.app.tasks.build_report",
            "tests.app.tasks.send_report",
            "tests.app.tasks.undecorated",
            "tests.tasks.echo",
        }
        assert all(map(is_allowed, allowed_functions()))
    with allowing("tests.app.tasks.Mailer.*", "tests.app.*.un*"):
        assert is_allowed("tests.app.tasks.Mailer.send")
        assert {"tests.app.tasks.Mailer.send", "tests.app.tasks.undecorated"} <= set(
            allowed_functions()
        )
        assert not is_allowed("tests.app.tasks.Mailer")


@pytest.mark.parametrize(
    "name",
    [
        "tests.app.tasks.system",  # what a module imports is not its own
        "tests.app.tasks.os.system",
        "tests.app.tasks.build_report.delay",
        "tests.app.tasks._private",
        "tests.app.tasks.Mailer",
        "tests.app.tasks.Any",
        "tests.app.tasks.*",
        "tests.app.tasks.__builtins__.eval",
    ],
)
def test_a_pattern_allows_what_a_module_defines_and_nothing_more(starting: None, name: str) -> None:
    with allowing("tests.app.tasks.*", "tests.app.tasks.*.*"):
        assert not is_allowed(name)
        assert name not in allowed_functions()


def test_a_mistake_in_the_setting_allows_nothing(starting: None) -> None:
    for value in ("tests.tasks.*", ["*.system", "*", 5, "os", "os.sys[t]em"], 7, None):
        with override_settings(REDISCRON={"ALLOWED_FUNCTIONS": value}):
            assert not is_allowed("tests.tasks.echo")
            assert not is_allowed("os.system")
            assert not is_allowed("os")


def test_a_name_imports_nothing_unless_it_is_allowed(starting: None) -> None:
    name = "tests.app.unimported.function"
    with allowing("tests.app.tasks.*"):
        assert not is_allowed(name)
        with pytest.raises(FunctionNotAllowedError):
            allowed_function(name)
    assert "tests.app.unimported" not in sys.modules


def test_a_function_that_is_allowed_and_missing_is_told_apart(starting: None) -> None:
    with (
        allowing("tests.tasks.gone"),
        pytest.raises(InvalidScheduleError, match="cannot be imported"),
    ):
        allowed_function("tests.tasks.gone")


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ([], {}, "missing a required argument: 'name'"),
        (["a", "b"], {}, "too many positional arguments"),
        (["a"], {"page": 2}, "unexpected keyword argument 'page'"),
    ],
)
def test_arguments_must_fit_the_signature(
    args: list[Any], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidScheduleError, match=words) as error:
        check_call(app_tasks.build_report, args, kwargs)
    assert "build_report(name: str, *, pages: int = 1)" in str(error.value).replace("'", "")


def test_arguments_that_fit_and_functions_without_a_signature_pass() -> None:
    check_call(app_tasks.build_report, ["a"], {"pages": 2})
    check_call(dict, [1, 2, 3], {})
