"""The call by which a project tests what it declares."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from django.test import override_settings

from django_rediscron import register
from django_rediscron.testing import check_declarations

from .tasks import echo

UTC = timezone.utc


def two(first: int, second: int = 2) -> None:
    """Takes one or two."""


def test_what_can_run_is_no_error(starting: None) -> None:
    register(echo, "default", id="a", interval=5, kwargs={"any": "thing"})
    register("tests.test_testing.two", "reports", id="b", cron="* * * * *", args=(1,))
    register(len, "default", id="c", interval=5, args=([],))
    check_declarations()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"func": "tests.tasks.no_such"}, "'tests.tasks.no_such' cannot be imported"),
        ({"func": "tests.tasks.NOT_A_FUNCTION"}, "must lead to a function"),
        ({"func": "word"}, "must be a dotted name"),
        ({"func": two}, r"\(\) do not fit tests.test_testing.two\(.*missing .* 'first'"),
        ({"func": two, "args": (1, 2, 3)}, r"\(1, 2, 3\) do not fit .* too many"),
        ({"func": two, "args": (1,), "kwargs": {"third": 3}}, "'third'"),
        ({"on_failure": "tests.tasks.no_such"}, "'tests.tasks.no_such' cannot be imported"),
        (
            {
                "interval": None,
                "cron": "0 0 29 2 *",
                "start_at": datetime(2026, 1, 1, tzinfo=UTC),
                "end_at": datetime(2027, 1, 1, tzinfo=UTC),
            },
            "never fires between",
        ),
    ],
)
def test_what_cannot_run_is_named_with_its_place(
    starting: None, options: dict[str, Any], reason: str
) -> None:
    register(**{"func": echo, "queue_name": "default", "id": "bad", "interval": 5, **options})
    with pytest.raises(AssertionError, match=reason) as error:
        check_declarations()
    assert str(error.value).startswith("schedule 'bad', declared at tests/test_testing.py:")


def test_all_that_is_wrong_is_said_at_once(starting: None) -> None:
    register("tests.tasks.no_such", "reports", id="a", interval=5)
    register(two, "default", id="b", interval=5)
    with override_settings(RQ_QUEUES={"default": {}}), pytest.raises(AssertionError) as error:
        check_declarations()

    first, second, third = str(error.value).splitlines()
    assert "'a'" in first
    assert "queue 'reports' is not in RQ_QUEUES" in first
    assert "'a'" in second
    assert "no_such" in second
    assert "'b'" in third


def test_what_is_refused_at_once_says_where(starting: None) -> None:
    with pytest.raises(ValueError, match=r"'bad', declared at tests/test_testing.py:\d+: .*-5"):
        register(echo, "default", id="bad", interval=-5)
    with pytest.raises(ValueError, match=r"'bad', declared at .*: queue 'x' is not in RQ_QUEUES"):
        register(echo, "x", id="bad", interval=5)
