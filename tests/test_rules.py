"""Next times that were computed elsewhere: in another local zone, by another time zone database.

Each wall time that an expression names runs once, whenever a deploy comes. Seen to fail with
`adopt_rules` taken out, and with `as_leader` true always.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob
from django_rediscron.core.schedule.texts import parse_time
from django_rediscron.core.store.keys import INDEX, RULES

from .forks import run_python

UTC = timezone.utc
TOKYO, NEW_YORK = "Asia/Tokyo", "America/New_York"
NEW_YEAR = "0 8 1 1 *"
IN_TOKYO = datetime(2026, 12, 31, 23, tzinfo=UTC)
IN_NEW_YORK = datetime(2027, 1, 1, 13, tzinfo=UTC)
BETWEEN = datetime(2027, 1, 1, 5, tzinfo=UTC)
NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Step = tuple[datetime, str, list[Any]]


def lead(moment: datetime) -> Step:
    return moment, "lead", []


def register(moment: datetime, id: str = "report", **options: Any) -> Step:
    return moment, "register", [id, options]


class Elsewhere:
    """Runs steps in a process of that zone."""

    def __init__(self, connection: Redis, url: str) -> None:
        self.connection = connection
        self.url = url

    def __call__(self, zone: str, *steps: Step, **environment: str) -> None:
        told = [self.url, [(moment.isoformat(), *rest) for moment, *rest in steps]]
        variables = {**os.environ, "TZ": zone, **environment}
        run_python("-m", "tests.elsewhere", json.dumps(told), env=variables, check=True)

    def ran(self, id: str = "report") -> list[datetime]:
        """The occurrences that were enqueued, oldest first."""
        job = RedisCronJob.fetch(id, self.connection)
        ids = job.get_job_ids(self.connection)[::-1]
        texts = [self.connection.hget(f"rq:job:{job_id}", "occurrence") for job_id in ids]
        return [parse_time(text.decode()) for text in texts]

    def due(self, id: str = "report") -> datetime | None:
        return RedisCronJob.fetch(id, self.connection).next_enqueue_time


@pytest.fixture
def elsewhere(connection: Redis, redis_url: str) -> Elsewhere:
    return Elsewhere(connection, redis_url)


# The local zone


def test_a_deploy_to_a_zone_that_is_later(elsewhere: Elsewhere) -> None:
    """Synced in Tokyo: neither 31 December 18:00 nor anything but 1 January 08:00."""
    elsewhere(TOKYO, register(NOVEMBER, cron=NEW_YEAR))
    assert elsewhere.due() == IN_TOKYO
    elsewhere(NEW_YORK, lead(DECEMBER), lead(IN_TOKYO + MINUTE))
    assert elsewhere.due() == IN_NEW_YORK
    assert elsewhere.ran() == []
    elsewhere(NEW_YORK, lead(IN_NEW_YORK + MINUTE), lead(IN_NEW_YORK + timedelta(days=1)))
    assert elsewhere.ran() == [IN_NEW_YORK]


def test_a_deploy_to_a_zone_that_is_earlier(elsewhere: Elsewhere) -> None:
    """By the setting of Django projects."""
    elsewhere("UTC", register(NOVEMBER, cron=NEW_YEAR), DJANGO_TIME_ZONE=NEW_YORK)
    assert elsewhere.due() == IN_NEW_YORK
    elsewhere(
        "UTC",
        lead(DECEMBER),
        lead(IN_TOKYO + MINUTE),
        lead(IN_NEW_YORK + MINUTE),
        DJANGO_TIME_ZONE=TOKYO,
    )
    assert elsewhere.ran() == [IN_TOKYO]


def test_a_deploy_after_the_run_repeats_nothing(elsewhere: Elsewhere) -> None:
    elsewhere(TOKYO, register(NOVEMBER, cron=NEW_YEAR), lead(IN_TOKYO + MINUTE))
    elsewhere(NEW_YORK, lead(BETWEEN), lead(IN_NEW_YORK + MINUTE))
    assert elsewhere.ran() == [IN_TOKYO]
    assert elsewhere.due() == datetime(2028, 1, 1, 13, tzinfo=UTC)


def test_a_deploy_between_the_two_times_loses_nothing(elsewhere: Elsewhere) -> None:
    """In the old zone the time had not come, in the new one it has passed."""
    elsewhere(NEW_YORK, register(NOVEMBER, cron=NEW_YEAR), lead(IN_TOKYO + MINUTE))
    assert elsewhere.ran() == []
    elsewhere(TOKYO, lead(BETWEEN), lead(IN_NEW_YORK + MINUTE))
    assert elsewhere.ran() == [IN_TOKYO]
    assert elsewhere.due() == datetime(2027, 12, 31, 23, tzinfo=UTC)


def test_what_was_due_when_the_scheduler_was_away_runs_once(elsewhere: Elsewhere) -> None:
    elsewhere(TOKYO, register(NOVEMBER, cron=NEW_YEAR), lead(DECEMBER))
    elsewhere(NEW_YORK, lead(BETWEEN), lead(IN_NEW_YORK + MINUTE), lead(IN_NEW_YORK + 2 * MINUTE))
    assert elsewhere.ran() == [IN_NEW_YORK]


def test_what_runs_often_goes_on_from_the_present(elsewhere: Elsewhere) -> None:
    """And what is right in both zones, has a zone of its own, or was set by hand, stays."""
    quarter = datetime(2026, 12, 1, 0, 15, tzinfo=UTC)
    options = {"often": "*/15 * * * *", "hours": "30 0-23 * * *", "named": NEW_YEAR}
    elsewhere(
        "Asia/Kathmandu",  # 5:45 h from UTC
        *(register(DECEMBER, id, cron=cron) for id, cron in options.items() if id != "named"),
        register(DECEMBER, "named", cron=NEW_YEAR, timezone=TOKYO),
        register(DECEMBER, "moved", cron=NEW_YEAR),
    )
    by_hand = "2027-05-05T05:05:05.000000Z"
    elsewhere.connection.hset("rq:cron_job:moved", "next_enqueue_time", by_hand)
    elsewhere(NEW_YORK, lead(DECEMBER + MINUTE))
    assert elsewhere.due("often") == quarter
    assert elsewhere.due("hours") == DECEMBER + 30 * MINUTE
    assert elsewhere.due("named") == IN_TOKYO
    assert elsewhere.due("moved") == parse_time(by_hand)


def test_a_leader_that_dies_while_it_times_anew_is_followed_up(elsewhere: Elsewhere) -> None:
    elsewhere(TOKYO, register(NOVEMBER, cron=NEW_YEAR))
    elsewhere(NEW_YORK, (NOVEMBER, "die_while_timing_anew", []), lead(DECEMBER))
    assert elsewhere.due() == IN_NEW_YORK
    elsewhere(TOKYO, (NOVEMBER, "die_while_timing_anew", []))
    elsewhere(NEW_YORK, lead(DECEMBER))
    assert elsewhere.due() == IN_NEW_YORK
    elsewhere(TOKYO, lead(DECEMBER))
    assert elsewhere.due() == IN_TOKYO


def test_what_was_written_before_zones_were_kept_is_timed_anew(elsewhere: Elsewhere) -> None:
    elsewhere(TOKYO, register(NOVEMBER, cron=NEW_YEAR))
    elsewhere.connection.delete(RULES)
    elsewhere(NEW_YORK, lead(DECEMBER))
    assert elsewhere.due() == IN_NEW_YORK


# Writers


@pytest.mark.parametrize(
    "write",
    [
        register(DECEMBER, cron=NEW_YEAR),
        (DECEMBER, "register_many", [["report", "other"], {"cron": NEW_YEAR}]),
        (DECEMBER, "save", ["there", NEW_YEAR]),
        (DECEMBER, "switch_off_and_on", ["there"]),
    ],
    ids=lambda step: step[1],
)
def test_a_writer_in_another_zone_leaves_the_time_to_the_leader(
    elsewhere: Elsewhere, write: Step
) -> None:
    cron = NEW_YEAR if write[1] == "switch_off_and_on" else "0 9 * 2 *"
    elsewhere(NEW_YORK, register(NOVEMBER, "there", cron=cron), lead(NOVEMBER))
    elsewhere(TOKYO, write)
    id = "report" if elsewhere.connection.exists("rq:cron_job:report") else "there"
    assert elsewhere.due(id) is None
    assert elsewhere.connection.zscore(INDEX, id) == DECEMBER.timestamp()
    elsewhere(NEW_YORK, lead(DECEMBER + MINUTE))
    assert elsewhere.due(id) == IN_NEW_YORK
    assert elsewhere.ran(id) == []


# The time zone database


def database(path: Path, zone: str) -> str:
    """One in which the clocks of Paraguay are those of another zone."""
    (source,) = [place for place in (Path(each) / zone for each in TZPATH) if place.exists()][:1]
    target = path / zone.replace("/", "-") / "America" / "Asuncion"
    target.parent.mkdir(parents=True)
    target.write_bytes(source.read_bytes())
    return str(target.parent.parent)


THREE, FOUR = "Etc/GMT+3", "Etc/GMT+4"  # hours behind UTC
DAY = timedelta(days=1)
AT_11, AT_12 = (datetime(2026, 12, 2, hour, tzinfo=UTC) for hour in (11, 12))


@pytest.mark.parametrize(
    ("old", "new", "deployed", "runs", "due"),
    [
        (FOUR, THREE, AT_11 - MINUTE, [AT_11], AT_11 + DAY),
        (THREE, FOUR, AT_11 - MINUTE, [AT_12], AT_12 + DAY),
        # between the two times, and after both
        (FOUR, THREE, AT_11 + 30 * MINUTE, [AT_11], AT_11 + DAY),
        (THREE, FOUR, AT_11 + 30 * MINUTE, [AT_11], AT_12 + DAY),
        (FOUR, THREE, AT_12 + 2 * MINUTE, [AT_12], AT_11 + DAY),
        (THREE, FOUR, AT_12 + 2 * MINUTE, [AT_11], AT_12 + DAY),
    ],
)
def test_a_new_time_zone_database(
    elsewhere: Elsewhere,
    tmp_path: Path,
    old: str,
    new: str,
    deployed: datetime,
    runs: list[datetime],
    due: datetime,
) -> None:
    zone = {"cron": "0 8 * * *", "timezone": "America/Asuncion"}
    looks = [AT_11 + MINUTE, AT_12 + MINUTE]
    before = [lead(look) for look in looks if look < deployed]
    elsewhere(
        "UTC",
        register(DECEMBER + DAY / 2, **zone),
        *before,
        PYTHONTZPATH=database(tmp_path, old),
    )
    elsewhere(
        "UTC",
        *(lead(look) for look in (deployed, AT_11 + MINUTE, AT_12 + MINUTE) if look >= deployed),
        PYTHONTZPATH=database(tmp_path, new),
    )
    assert elsewhere.ran() == runs
    assert elsewhere.due() == due
