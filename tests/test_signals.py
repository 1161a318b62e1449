"""Alarms as Django signals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from django_rediscron import get_scheduler
from django_rediscron.core.notifying import telling
from django_rediscron.core.notifying.notification import ALARMS, Notification
from django_rediscron.core.notifying.receivers import Receiver
from django_rediscron.notify import receivers
from django_rediscron.signals import SIGNALS, leader_changed, run_failed, signals_receiver
from tests.alarms import alarm, due, work

Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def told() -> Told:
    """Names of the handlers that were called, with their arguments."""
    return []


@pytest.fixture
def connect() -> Iterator[Callable[..., None]]:
    """Connect handlers until the end of the test."""
    connected = []

    def connect(handler: Any, *kinds: str) -> None:
        for kind in kinds or ("run_failed",):
            SIGNALS[kind].connect(handler)
            connected.append((kind, handler))

    yield connect
    for kind, handler in connected:
        SIGNALS[kind].disconnect(handler)


def receiver() -> Receiver:
    found = signals_receiver()
    assert found is not None
    return found


def test_there_is_a_signal_for_each_alarm() -> None:
    assert tuple(SIGNALS) == ALARMS


def test_without_handlers_nothing_is_told() -> None:
    assert receivers() == []
    leader_changed.connect(print, sender=Notification)
    try:
        assert [each.name for each in receivers()] == ["signals"]
    finally:
        leader_changed.disconnect(print, sender=Notification)


def test_a_handler_gets_what_is_known(connect: Callable[..., None], told: Told) -> None:
    def handler(**arguments: Any) -> None:
        told.append(("handler", arguments))

    connect(handler, *ALARMS)
    for kind in ALARMS:
        one = alarm(kind)
        receiver().tell([one])
        (((_, arguments),), told[:]) = told[:], []
        assert arguments == {
            "signal": SIGNALS[kind],
            "sender": Notification,
            "schedule": one.schedule,
            "occurrence": one.occurrence,
            "run": one.run,
            "text": one.text,
            "notification": one,
        }


def test_handlers_that_raise_are_tried_again_alone(
    connect: Callable[..., None], told: Told
) -> None:
    faults = {"raises": 2, "raises too": 1}

    def works(**arguments: Any) -> None:
        told.append(("works", arguments))

    def raises(**arguments: Any) -> None:
        told.append(("raises", arguments))
        fail("raises")

    async def raises_too(**arguments: Any) -> None:
        told.append(("raises too", arguments))
        fail("raises too")

    def fail(name: str) -> None:
        faults[name] -= 1
        if faults[name] >= 0:
            raise ValueError(f"{name} raised")

    for handler in (works, raises, raises_too):
        connect(handler)
    tell, one, other = receiver().tell, alarm(), alarm(number=2)

    with pytest.raises(RuntimeError, match="raises raised"):
        tell([one])
    with pytest.raises(RuntimeError, match=r"raises raised ValueError\('raises raised'\)"):
        tell([one])
    tell([one])
    tell([one])  # the script that notes it as told may fail, and then it is told again

    assert [name for name, _ in told] == [
        "works", "raises", "raises too",
        "raises", "raises too",
        "raises",
    ]  # fmt: skip
    assert all(arguments["signal"] is run_failed for _, arguments in told)

    told.clear()
    tell([other])
    assert [name for name, _ in told] == ["works", "raises", "raises too"]


def test_handlers_that_hang_are_not_called_twice(connect: Callable[..., None], told: Told) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hangs(**arguments: Any) -> None:
        told.append(("hangs", arguments))
        begun.set()
        go_on.wait()

    connect(hangs)
    tell, one = receiver().tell, alarm()
    attempt = threading.Thread(target=tell, args=([one],))
    attempt.start()
    begun.wait()
    with pytest.raises(RuntimeError, match="are still running"):
        tell([one])
    go_on.set()
    attempt.join()
    tell([one])
    assert len(told) == 1


@pytest.mark.slow
def test_a_run_that_fails_is_told_once_for_all_handlers_that_work(
    connection: Redis,
    rq_queues: None,
    connect: Callable[..., None],
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def works(**arguments: Any) -> None:
        told.append(("works", arguments))

    def raises(**arguments: Any) -> None:
        told.append(("raises", arguments))
        raise ValueError("it does not work")

    monkeypatch.setattr(telling, "PAUSES", (0.0, 0.0))
    connect(works)
    connect(raises)
    due(connection, "billing")
    for name in ("one", "two", "three"):
        get_scheduler(name=name).start(burst=True)
        work(connection)
    assert [name for name, _ in told] == ["works", "raises", "raises", "raises"]
    _, arguments = told[0]
    assert arguments["schedule"].id == "billing"
    assert arguments["run"].error == "ValueError: it failed, with a reason"
    assert arguments["occurrence"] == arguments["run"].occurrence is not None
    assert arguments["text"].startswith("Schedule billing: the run due at ")
