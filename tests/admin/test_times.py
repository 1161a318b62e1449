"""Times that people read and type: without USE_TZ, in hours that come twice, and in other zones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import override
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.models import Schedule

from .conftest import LIST
from .forms import ADD, change_url, errors, inputs, load, send

Make = Callable[..., RedisCronJob]

URL = change_url("job")
NEW = {"id": "job", "func_name": "tests.app.tasks.build_report", "args": '["x"]', "interval": "60"}
SECOND_0230 = datetime(2040, 10, 28, 1, 30, 0, 250, tzinfo=timezone.utc)
"""02:30 in Paris, an hour after the first 02:30 of that day."""


def start_of(connection: Redis) -> datetime | None:
    return RedisCronJob.fetch("job", connection).start_at


@pytest.fixture
def use_tz(settings: Any) -> None:
    """Only with it, people have time zones of their own."""
    settings.USE_TZ = True


@pytest.fixture
def without_use_tz(settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Tokyo"


def test_without_use_tz_people_read_and_type_local_times(
    operator: Client, connection: Redis, without_use_tz: None
) -> None:
    start = {"start_at_0": "2040-01-01", "start_at_1": "08:00"}
    assert send(operator, ADD, load(operator, ADD), **NEW, **start).status_code == 302
    assert start_of(connection) == datetime(2039, 12, 31, 23, tzinfo=timezone.utc)
    assert "Jan. 1, 2040, 08:00:00 JST" in operator.get(LIST).text
    assert (
        "08:00:00 JST"
        in operator.post(f"{LIST}refresh/", {"id": "job"}).json()["rows"]["job"]["next_run"]
    )
    assert load(operator, URL)["start_at_1"] == "08:00:00"
    assert send(operator, URL, load(operator, URL), interval="90").status_code == 302
    assert send(operator, URL, load(operator, URL), interval="70").status_code == 302
    assert start_of(connection) == datetime(2039, 12, 31, 23, tzinfo=timezone.utc)
    assert operator.get(f"{LIST}job/history/").status_code == 200


def test_without_use_tz_a_query_has_naive_times(
    schedule: Make, connection: Redis, without_use_tz: None
) -> None:
    schedule("job", start_at=datetime(2040, 1, 1, tzinfo=timezone.utc))
    nine = datetime(2040, 1, 1, 9)
    assert Schedule.objects.get(next_enqueue_time__gte=nine).next_enqueue_time == nine
    assert not Schedule.objects.filter(next_enqueue_time__gt=nine + timedelta(minutes=1)).exists()


def test_without_use_tz_a_conflict_names_who_changed_what(
    operator: Client, schedule: Make, connection: Redis, without_use_tz: None
) -> None:
    schedule("job", func_name=NEW["func_name"], args=("x",))
    mine, theirs = load(operator, URL), load(operator, URL)
    send(operator, URL, theirs, interval="600")
    (told,) = errors(send(operator, URL, mine, interval="900"))["__all__"]
    assert "user-view-add-change-delete-run" in told


@pytest.mark.usefixtures("use_tz")
def test_the_list_has_times_of_the_reader_or_of_each_schedule(
    operator: Client, schedule: Make
) -> None:
    start = datetime(2040, 1, 1, tzinfo=timezone.utc)
    schedule("job", cron="30 6 * * *", timezone="Asia/Tokyo", start_at=start)
    schedule("unnamed", cron="30 6 * * *", start_at=start)
    schedule("often", interval=60, start_at=start)
    with override("Europe/Paris"):
        page = operator.get(LIST)
        assert "<span>1 Jan 2040 22:30</span>" in page.text
        assert ">Europe/Paris</a>" in page.text
        chosen = operator.get(LIST, {"times": "schedule"})
        url = chosen.context["refresh_url"]
        rows = operator.post(url, {"id": ["job", "unnamed", "often"]}).json()["rows"].values()
    for text in ("2 Jan 2040 06:30 JST", "1 Jan 2040 06:30 UTC", "1 Jan 2040 01:00"):
        assert f"<span>{text}</span>" in chosen.text
        assert any(f"<span>{text}</span>" in row["next_run"] for row in rows)


@pytest.mark.usefixtures("use_tz")
def test_an_hour_that_comes_twice_is_left_as_it_is(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=NEW["func_name"], args=("x",), start_at=SECOND_0230)
    with override("Europe/Paris"):
        loaded = load(operator, URL)
        assert (loaded["start_at_1"], loaded["start_at_3"]) == ("02:30:00", "1")
        assert send(operator, URL, loaded, interval="90").status_code == 302
        assert start_of(connection) == SECOND_0230
        assert send(operator, URL, load(operator, URL), start_at_3="0").status_code == 302
    assert start_of(connection) == datetime(2040, 10, 28, 0, 30, tzinfo=timezone.utc)


@pytest.mark.usefixtures("use_tz")
def test_a_new_one_is_asked_for(operator: Client, connection: Redis) -> None:
    with override("Europe/Paris"):
        loaded = load(operator, ADD)
        assert "start_at_3" not in loaded
        start = {"start_at_0": "2040-10-28", "start_at_1": "02:30"}
        asked = send(operator, ADD, loaded, **NEW, **start)
        (told,) = errors(asked)["start_at"]
        assert "comes twice in Europe/Paris: choose the first (UTC+02:00) or the second" in told
        assert send(operator, ADD, inputs(asked), start_at_3="1").status_code == 302
    assert start_of(connection) == SECOND_0230.replace(microsecond=0)


@pytest.mark.usefixtures("use_tz")
def test_a_time_that_the_clocks_skip_is_refused(operator: Client) -> None:
    start = {"start_at_0": "2040-03-25", "start_at_1": "02:30"}
    with override("Europe/Paris"):
        told = errors(send(operator, ADD, load(operator, ADD), **NEW, **start))["start_at"]
    assert told == ["2040-03-25 02:30:00 does not exist in Europe/Paris: the clocks skip it."]


@pytest.mark.usefixtures("use_tz")
@pytest.mark.parametrize("opened", ["Asia/Tokyo", timezone(timedelta(hours=5, minutes=30))])
def test_a_form_is_read_in_the_zone_in_which_it_was_opened(
    opened: Any, operator: Client, schedule: Make, connection: Redis
) -> None:
    start = datetime(2040, 1, 1, tzinfo=timezone.utc)
    schedule("job", func_name=NEW["func_name"], args=("x",), start_at=start)
    with override(opened):
        loaded = load(operator, URL)
    date, time = loaded["start_at_0"], loaded["start_at_1"]
    with override("America/New_York"):
        assert send(operator, URL, loaded, interval="90").status_code == 302
        assert start_of(connection) == start
        # What is typed in such a form means its zone, too, and a form that comes back keeps it.
        with override(opened):
            loaded = load(operator, URL)
        typed = f"{int(time[:2]) + 1:02}{time[2:]}"
        refused = send(operator, URL, loaded, start_at_0=date, start_at_1=typed, jitter="?")
        assert send(operator, URL, inputs(refused), jitter="0").status_code == 302
    assert start_of(connection) == start + timedelta(hours=1)


@pytest.mark.parametrize("zone", ["", "Nowhere/There", "../../etc/passwd", "UTC+99:99", "\0"])
def test_a_hand_made_zone_is_an_error_at_most(zone: str, operator: Client) -> None:
    start = {"start_at_0": "2040-01-01", "start_at_1": "08:00", "start_at_2": zone}
    response = send(operator, ADD, load(operator, ADD), **NEW, **start)
    assert response.status_code == 302 if not zone else errors(response)["start_at"]


@pytest.mark.usefixtures("use_tz")
def test_the_preview_reads_the_form_alike(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=NEW["func_name"], args=("x",), start_at=SECOND_0230, max_runs=1)
    with override("Europe/Paris"):
        loaded = load(operator, URL)
    shown = operator.get(f"{LIST}preview/", {**loaded, "stored": "job"}).text
    assert "01:30:00 UTC" in shown


def test_what_is_not_touched_is_not_judged(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name=NEW["func_name"], args=("x",))
    connection.hset("rq:cron_job:job", mapping={"queue_name": "gone", "on_failure": "no.such.one"})
    assert send(operator, URL, load(operator, URL), interval="90").status_code == 302
    assert errors(send(operator, URL, load(operator, URL), on_failure="no.such.other"))
