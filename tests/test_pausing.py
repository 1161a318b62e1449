"""Pauses of everything or of named queues: what is on record, and what runs.

What the leader's scripts protect is seen to fail in `tests/faults/test_pausing.py`.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron import InvalidScheduleError
from django_rediscron.core.store.keys import EVENTS, PAUSED, PAUSES
from django_rediscron.core.store.pauses import (
    Pause,
    pause,
    pause_of,
    read_past_pauses,
    read_pauses,
    resume,
)
from tests.clock import Clock, set_clock

HOUR = timedelta(hours=1)
NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


# What is on record


def test_it_is_on_record_what_is_paused_since_when_by_whom_why_and_until(
    connection: Redis, clock: Clock
) -> None:
    everything = pause(connection, reason="migration", until=3600, actor="cli:me")
    mails = pause(connection, "mails", missed="catch_up", actor="cli:me")
    assert everything == Pause(None, NOON, "cli:me", "migration", NOON + HOUR)
    assert mails == Pause("mails", NOON, "cli:me", missed="catch_up")
    assert read_pauses(connection) == [everything, mails]
    assert pause_of("mails", [mails]) == mails
    assert pause_of("other", [mails]) is None
    assert pause_of("other", [everything]) == everything
    clock.advance(HOUR)
    assert read_pauses(connection) == [mails]
    assert read_past_pauses(connection) == [everything]


def test_a_pause_is_ended_once(connection: Redis, clock: Clock) -> None:
    begun = pause(connection, "mails", actor="cli:me")
    clock.advance(HOUR)
    ended = resume(connection, "mails", actor="cli:you")
    assert ended is not None
    assert (ended.at, ended.ended, ended.ended_by) == (begun.at, NOON + HOUR, "cli:you")
    assert resume(connection, "mails") is None
    assert resume(connection) is None
    assert read_pauses(connection) == []
    assert read_past_pauses(connection) == [ended]


def test_a_pause_that_is_over_by_itself_cannot_be_ended(connection: Redis, clock: Clock) -> None:
    pause(connection, until=3600)
    clock.advance(HOUR)
    assert resume(connection) is None


def test_what_is_paused_again_is_so_in_the_new_way(connection: Redis, clock: Clock) -> None:
    pause(connection, reason="one", actor="cli:me")
    clock.advance(HOUR)
    second = pause(connection, reason="two", until=60, actor="cli:you")
    assert read_pauses(connection) == [second]
    (first,) = read_past_pauses(connection)
    assert (first.reason, first.ended, first.ended_by) == ("one", NOON + HOUR, "cli:you")
    assert first.replaced


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": NOON - HOUR}, "until must be in the future"),
        ({"until": "soon"}, "until must be an aware datetime or a duration"),
        ({"missed": "run"}, "missed must be 'skip' or 'catch_up', got 'run'"),
        ({"reason": "two\nlines"}, "reason must be one line"),
        ({"queue": ""}, "queue must be the name of a queue, or None for all, got ''"),
        ({"queue": "*"}, "queue must be the name of a queue"),
    ],
)
def test_what_cannot_be_a_pause_is_refused(
    connection: Redis, clock: Clock, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidScheduleError, match=message):
        pause(connection, **options)
    assert not connection.exists(PAUSED)


def test_schedulers_are_told(connection: Redis) -> None:
    with connection.pubsub() as pubsub:
        pubsub.subscribe(EVENTS)
        assert pubsub.get_message(timeout=5)
        pause(connection)
        resume(connection)
        pause(connection, "mails")
        messages = [pubsub.get_message(timeout=5) for _ in range(3)]
    events = [json.loads(each["data"]) for each in messages if each]
    paused = {"event": "paused", "queue": "mails"}
    assert events == [{"event": "paused"}, {"event": "resumed"}, paused]


def test_what_others_wrote_there_is_no_pause(connection: Redis) -> None:
    connection.hset(PAUSED, mapping={"*": "yes", "a": '{"at":"soon"}', b"\xff": "[]"})
    connection.lpush(PAUSES, "no", '{"at":"2026-06-03T12:00:00Z"}')
    assert read_pauses(connection) == []
    assert read_past_pauses(connection) == []
    assert resume(connection) is None
    pause(connection)
    assert [each.queue for each in read_pauses(connection)] == [None]
