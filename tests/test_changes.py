"""The log of changes: who changed which field of a schedule, when, and what it was before."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from redis import Redis

from django_rediscron import LoggedChange, acting_as
from django_rediscron.core.store.actors import command_line_actor, current_actor
from django_rediscron.core.store.keys import changes_key
from django_rediscron.core.story.changes import (
    ChangeLog,
    definition_at,
    definition_of,
    read_changes,
    read_log,
)

NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)


def hours(number: int) -> datetime:
    return NOON + timedelta(hours=number)


# Earlier definitions

LOG = ChangeLog(
    {"func_name": "f", "queue_name": "q", "enabled": "1", "interval": "60"},
    [
        LoggedChange(hours(4), "bob", "created", 0),
        LoggedChange(
            hours(3), "bob", "deleted", 2, "", {"func_name": ("f", None), "interval": ("30", None)}
        ),
        LoggedChange(
            hours(2), "amy", "updated", 1, "", {"interval": ("20", "30"), "cron": ("*", None)}
        ),
    ],
)


def test_an_earlier_definition_is_the_present_one_with_later_changes_undone() -> None:
    assert definition_at(LOG, hours(5)) == definition_at(LOG, hours(4)) == LOG.known
    assert definition_at(LOG, hours(3)) == {}
    assert definition_at(LOG, hours(2)) == {"func_name": "f", "interval": "30"}
    assert definition_at(LOG, hours(1)) == {"func_name": "f", "interval": "20", "cron": "*"}
    assert definition_at(ChangeLog(None, []), hours(1)) is None


def test_a_revision_is_that_of_the_newest_change_with_its_number() -> None:
    assert definition_of(LOG, 0) == LOG.known
    assert definition_of(LOG, 1) == {"func_name": "f", "interval": "30"}
    assert definition_of(LOG, 2) == {}
    assert definition_of(LOG, 3) is None


def test_what_is_no_entry_of_the_log_is_left_out(connection: Redis) -> None:
    entry = {"at": "2026-06-03T12:00:00.000000Z", "by": "amy", "what": "updated", "revision": 1}
    damaged = (b"\xff", b"5", b"{}", json.dumps({**entry, "fields": {"cron": "*"}}))
    connection.rpush(changes_key("a"), json.dumps({"cron": "*"}), *damaged, json.dumps(entry))
    assert read_changes("a", connection) == [LoggedChange(NOON, "amy", "updated", 1)]
    assert read_log("a", connection).known == {"cron": "*"}
    connection.set(changes_key("b"), "no list")
    assert read_log("b", connection) == read_log("none", connection) == ChangeLog(None, [])


# Actors


def test_an_actor_counts_inside_its_block() -> None:
    assert current_actor().startswith("program:")
    with acting_as("amy"):
        with acting_as("bob"):
            assert current_actor() == "bob"
        with acting_as(None):
            assert current_actor() == "amy"
        assert current_actor() == "amy"
    assert current_actor().startswith("program:")


def test_an_actor_is_a_line_of_limited_length() -> None:
    with acting_as("a\n\tb\0\x1b[31m\u2028c\ud800" + "x" * 1000):
        assert current_actor().startswith("a b [31m c?xxx")
        assert len(current_actor()) == 150
    with pytest.raises(TypeError, match="actor must be a text, got 5"), acting_as(5):
        pass


def test_who_has_no_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as any user."""
    monkeypatch.setattr("getpass.getuser", lambda: {}["nobody"])
    assert command_line_actor().startswith("cli:")
