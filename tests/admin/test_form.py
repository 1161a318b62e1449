"""Adding and changing a schedule by the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client, override_settings
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST
from .forms import ADD, change_url, errors, inputs, load, messages, send

Make = Callable[..., RedisCronJob]

BUILD = "tests.app.tasks.build_report"
RIGHT = {"id": "new", "func_name": BUILD, "args": '["daily"]', "cron": "30 6 * * mon-fri"}


def keys(connection: Redis) -> list[bytes]:
    return connection.keys("rq:cron_job*")


def test_adds_a_schedule_with_all_that_one_can_say(operator: Client, connection: Redis) -> None:
    everything = {
        **RIGHT,
        "name": "Daily report",
        "kwargs": '{"pages": 7}',
        "queue_name": "reports",
        "timezone": "Europe/Berlin",
        "start_at_0": "2030-01-01",
        "start_at_1": "08:00:00",
        "end_at_0": "2031-01-01",
        "end_at_1": "08:00:00",
        "max_runs": "5",
        "jitter": "2.5",
        "catch_up": "all",
        "catch_up_limit": "7",
        "misfire_grace": "1h",
        "overlap": "queue_one",
        "max_failures": "3",
        "max_runtime": "1.5",
        "tags": "ops, daily",
        "notify": "yes",
        "notify_failures": "2",
        "notify_late_after": "5m",
        "notify_margin": "0.5",
        "notify_by_hand": "on",
        "job_timeout": "10m",
        "ttl": "1d",
        "result_ttl": "-1",
        "failure_ttl": "0",
        "retry_max": "3",
        "retry_intervals": "10, 1m",
        "at_front": "on",
        "on_success": "tests.app.tasks.send_report 90",
        "description": "Täglich",
        "meta": '{"team": "ops"}',
    }
    response = send(operator, ADD, load(operator, ADD), **everything)
    assert response.status_code == 302
    job = RedisCronJob.fetch("new", connection)
    assert (job.func_name, job.args, job.kwargs) == (BUILD, ("daily",), {"pages": 7})
    assert (job.cron, job.interval, job.timezone) == ("30 6 * * mon-fri", None, "Europe/Berlin")
    assert (job.name, job.queue_name, job.enabled) == ("Daily report", "reports", True)
    assert str(job.start_at) == "2030-01-01 08:00:00+00:00"
    assert str(job.end_at) == "2031-01-01 08:00:00+00:00"
    assert (job.max_runs, job.jitter, job.misfire_grace) == (5, 2.5, 3600)
    assert (job.catch_up, job.catch_up_limit, job.overlap) == ("all", 7, "queue_one")
    assert (job.max_failures, job.max_runtime) == (3, 1.5)
    assert job.tags == ("daily", "ops")
    assert job.notify == {"failures": 2, "late_after": 300, "margin": 0.5, "by_hand": True}
    options = job.job_options
    assert [options[each] for each in ("job_timeout", "ttl", "result_ttl", "failure_ttl")] == [
        600, 86400, -1, 0
    ]  # fmt: skip
    assert (options["retry"].max, options["retry"].intervals) == (3, [10, 60])
    assert (options["at_front"], options["description"]) == (True, "Täglich")
    assert options["on_success"] == "tests.app.tasks.send_report 90"
    assert options["meta"] == {"team": "ops"}
    assert LogEntry.objects.get().get_change_message() == "Added."


def test_what_is_left_empty_has_its_default(operator: Client, connection: Redis) -> None:
    send(operator, ADD, load(operator, ADD), **RIGHT, queue_name="reports")
    plain = RedisCronJob("new", "reports", func_name=BUILD, args=("daily",), cron=RIGHT["cron"])
    # as `register` does: results are kept as long as the queue says
    plain.job_options["result_ttl"] = 77
    assert RedisCronJob.fetch("new", connection).definition() == plain.definition()


WRONG = [
    ("id", "", "required"),
    ("id", "a:jobs", "must not end in ':jobs'"),
    ("id", "a\tb", "control characters"),
    ("id", "taken", "already exists"),
    ("func_name", "os.system", "may not be chosen"),
    ("func_name", "tests.tasks.echo", "may not be chosen"),
    ("args", '["daily"', "line 1, column 9"),
    ("args", '[\n  "daily",\n  oops\n]', "line 3, column 3, before “oops”"),
    ("args", '{"a": 1}', "must be a list"),
    ("args", "[NaN]", "NaN is not valid JSON"),
    ("args", "[1e999]", "finite number"),
    ("args", "[" * 200 + "]" * 200, "at most 100 deep"),
    ("args", "[]", "missing a required argument: 'name'"),
    ("args", "[1, 2]", "too many positional arguments"),
    ("kwargs", '{"page": 1}', "unexpected keyword argument 'page'"),
    ("kwargs", '{"pages": 1, "pages": 2}', "stands twice"),
    ("kwargs", "[]", "must be an object"),
    ("queue_name", "elsewhere", "not one of the available choices"),
    ("queue_name", "nonsense", "not one of the available choices"),
    ("interval", "60", "mutually exclusive"),
    ("interval", "soon", "number of seconds"),
    ("interval", "1.5", "whole number"),
    ("cron", "", "is needed"),
    ("cron", "* * *", "five fields"),
    ("cron", "61 * * * *", "not valid"),
    ("cron", "0 0 30 2 *", "never fires"),
    ("timezone", "Mars/Olympus", "IANA name"),
    ("start_at_0", "yesterday", "valid date"),
    ("max_runs", "0", "greater than or equal to 1"),
    ("jitter", "-1", "from 0"),
    ("misfire_grace", "0", "positive"),
    ("catch_up", "maybe", "not one of the available choices"),
    ("catch_up_limit", "100000", "from 1 to"),
    ("overlap", "maybe", "not one of the available choices"),
    ("tags", "a;b", "letters, digits"),
    ("notify", "maybe", "not one of the available choices"),
    ("notify_failures", "0", "greater than or equal to 1"),
    ("notify_late_after", "0", "positive"),
    ("notify_margin", "soon", "number of seconds"),
    ("job_timeout", "-2", "positive, or -1"),
    ("ttl", "-1", "positive"),
    ("retry_max", "x", "whole number"),
    ("retry_intervals", "5, x", "number of seconds"),
    ("on_success", "os.system", "may not be chosen"),
    ("on_failure", "tests.app.tasks.undecorated", "may not be chosen"),
    ("on_stopped", "tests.app.tasks.send_report soon", "time-out in seconds"),
    ("meta", "{", "column 2, the end"),
]


def test_what_is_wrong_is_told_at_its_field_and_nothing_is_written(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("taken")
    before = sorted(keys(connection))
    empty = load(operator, ADD)
    for field, value, words in WRONG:
        response = send(operator, ADD, empty, **{**RIGHT, field: value})
        found = errors(response)
        shown_at = {"start_at_0": "start_at", "interval": "interval"}.get(field, field)
        if words == "mutually exclusive":
            assert set(found) <= {"interval", "cron"}
            shown_at = next(iter(found))
        assert list(found) == [shown_at], (field, value)
        assert words in " ".join(found[shown_at]), (field, value)
        if field not in ("queue_name", "catch_up", "overlap", "notify"):
            assert inputs(response)[field] == value  # what was typed is still there
        assert sorted(keys(connection)) == before
    assert not LogEntry.objects.exists()


def test_the_timing_is_checked_whatever_else_is_wrong(operator: Client) -> None:
    wrong = {**RIGHT, "func_name": "os.system", "cron": "61 * * * *"}
    found = errors(send(operator, ADD, load(operator, ADD), **wrong))
    assert list(found) == ["func_name", "cron"]
    assert "ALLOWED_FUNCTIONS" in found["func_name"][0]


def test_retries_are_told_at_their_field(operator: Client) -> None:
    response = send(operator, ADD, load(operator, ADD), **RIGHT, retry_intervals="5")
    assert "attempts" in errors(response)["retry_max"][0]


def test_the_order_of_dates_is_checked(operator: Client) -> None:
    dates = {"start_at_0": "2031-01-01", "start_at_1": "0:00", "end_at_0": "2030-01-01"}
    response = send(operator, ADD, load(operator, ADD), **RIGHT, **dates, end_at_1="0:00")
    assert "must not be before start_at" in errors(response)["end_at"][0]


def test_a_queue_that_cannot_be_used_is_told_at_its_field(
    operator: Client, connection: Redis
) -> None:
    queues = {**settings.RQ_QUEUES, "odd": {"URL": settings.REDIS_URL, "QUEUE_CLASS": "no.Such"}}
    with override_settings(RQ_QUEUES=queues):
        response = send(operator, ADD, load(operator, ADD), **{**RIGHT, "queue_name": "odd"})
    assert "check its QUEUE_CLASS" in errors(response)["queue_name"][0]
    assert not connection.exists("rq:cron_job:new")


def test_an_id_that_somebody_takes_meanwhile_is_not_overwritten(
    operator: Client, schedule: Make, connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_rediscron.admin.changeform.form import ScheduleForm

    write = ScheduleForm.write

    def late(form: Any) -> None:
        if not connection.exists("rq:cron_job:new"):
            schedule("new", interval=77)
        write(form)

    monkeypatch.setattr(ScheduleForm, "write", late)
    response = send(operator, ADD, load(operator, ADD), **RIGHT)
    assert "already exists" in errors(response)["id"][0]
    assert RedisCronJob.fetch("new", connection).interval == 77


# Changing


def test_writes_what_was_changed_and_logs_old_and_new_values(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name=BUILD, args=("daily",), interval=300, meta={"a": 1})
    before = connection.hgetall("rq:cron_job:old")
    form = load(operator, change_url("old"))
    response = send(operator, change_url("old"), form, interval="10m", args='["weekly"]')
    assert response.status_code == 302
    after = connection.hgetall("rq:cron_job:old")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - {b"updated_at", b"next_enqueue_time"} == {b"interval", b"args", b"revision"}
    assert LogEntry.objects.get().get_change_message() == (
        'Changed arguments: ["daily"] → ["weekly"] and interval: 300 → 600.'
    )


def test_saving_without_a_change_writes_nothing(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    from datetime import datetime, timezone

    schedule(
        "old",
        func_name=BUILD,
        args=("x" * 100,),
        kwargs={"pages": 1},
        start_at=datetime(2030, 1, 1, 0, 0, 0, 123456, tzinfo=timezone.utc),
        result_ttl=None,
        retry=3,
        on_success="tests.tasks.echo",
    )
    before = connection.hgetall("rq:cron_job:old")
    response = send(operator, change_url("old"), load(operator, change_url("old")))
    assert response.status_code == 302
    assert connection.hgetall("rq:cron_job:old") == before


def test_alarms_are_turned_off_and_adjusted(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name=BUILD, args=("daily",), notify={"failures": 2, "margin": 60})
    url = change_url("old")
    send(operator, url, load(operator, url), notify_failures="3", notify_late_after="1m")
    stored = RedisCronJob.fetch("old", connection)
    assert stored.notify == {"failures": 3, "late_after": 60, "margin": 60}
    send(operator, url, load(operator, url), notify="no")
    assert RedisCronJob.fetch("old", connection).notify is False
    form = load(operator, url)
    assert (form["notify"], form["notify_failures"]) == ("no", "")
    send(operator, url, {name: form[name] for name in form if "notify" not in name})
    assert connection.hget("rq:cron_job:old", "notify") is None  # as a form without them
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")] == [
        'Changed alarms: {"failures":2,"margin":60} → {"failures":3,"late_after":60,"margin":60}.',
        'Changed alarms: {"failures":3,"late_after":60,"margin":60} → no.',
        "Changed alarms: no → yes.",
    ]


def test_a_group_is_open_if_a_field_of_it_is_not_at_its_default(
    operator: Client, schedule: Make
) -> None:
    schedule("plain")
    schedule("quiet", notify=False)
    pages = [operator.get(change_url(id)).text for id in ("plain", "quiet")]
    assert [page.count("<details>") for page in pages] == [5, 4]


def test_true_is_not_one(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("old", func_name=BUILD, args=(1,))
    send(operator, change_url("old"), load(operator, change_url("old")), args="[true]")
    assert connection.hget("rq:cron_job:old", "args") == b"[true]"


def test_the_id_of_a_stored_schedule_stays(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name=BUILD, args=("daily",))
    form = load(operator, change_url("old"))
    assert "id" not in form
    send(operator, change_url("old"), form, id="other", interval="77")
    assert RedisCronJob.fetch("old", connection).interval == 77
    assert not connection.exists("rq:cron_job:other")


def test_a_function_that_is_not_allowed_keeps_what_it_runs_with(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name="os.system", args=("true",), kwargs={"a": 1})
    response = operator.get(change_url("old"))
    assert response.text.count("is not on the list") == 1
    assert 'add it to <code dir="ltr">REDISCRON["ALLOWED_FUNCTIONS"]' in response.text
    form = inputs(response)
    assert not {"func_name", "args", "kwargs"} & set(form)
    forged = {"func_name": "os.system", "args": '["rm -rf /"]', "kwargs": "{}"}
    send(operator, change_url("old"), form, **forged, interval="77")
    job = RedisCronJob.fetch("old", connection)
    assert (job.args, job.kwargs, job.interval) == (("true",), {"a": 1}, 77)
    with override_settings(REDISCRON={"ALLOWED_FUNCTIONS": ["os.system"]}):
        assert "args" in load(operator, change_url("old"))


def test_superusers_are_bound_to_the_list_too(
    admin_client: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name=BUILD, args=("daily",))
    form = load(admin_client, change_url("old"))
    response = send(admin_client, change_url("old"), form, func_name="os.system")
    assert "may not be chosen" in errors(response)["func_name"][0]
    assert RedisCronJob.fetch("old", connection).func_name == BUILD


def test_a_callback_of_the_code_stays_where_it_is_not_touched(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name=BUILD, args=("daily",), on_failure="tests.tasks.echo")
    form = load(operator, change_url("old"))
    assert send(operator, change_url("old"), form, interval="77").status_code == 302
    response = send(operator, change_url("old"), load(operator, change_url("old")),
                    on_success="tests.tasks.echo")  # fmt: skip
    assert "may not be chosen" in errors(response)["on_success"][0]


def test_only_allowed_functions_are_offered(operator: Client) -> None:
    page = operator.get(ADD).text
    assert f'<option value="{BUILD}"></option>' in page
    assert "undecorated" not in page


def test_what_people_wrote_is_escaped(operator: Client, schedule: Make) -> None:
    evil = "<script>alert(1)</script>"
    schedule(evil, name=evil, func_name=BUILD, args=(evil,), meta={"m": evil}, description=evil)
    send(operator, change_url(evil), load(operator, change_url(evil)), args='["<i>new"]')
    for page in ("change", "history", "run", "delete"):
        response = operator.get(change_url(evil).replace("change", page))
        assert response.status_code == 200
        assert "<script>alert" not in response.text
        assert "<i>new" not in response.text


def test_what_cannot_be_read_is_shown_and_can_be_deleted(
    operator: Client, connection: Redis
) -> None:
    connection.hset("rq:cron_job:bad", mapping={"id": "bad", "func_name": "a.b", "interval": "x"})
    connection.zadd("rq:cron_jobs", {"bad": 1e10})
    response = operator.get(change_url("bad"))
    assert response.status_code == 200
    assert "cannot be read" in response.text
    assert operator.post(change_url("bad"), {"_save": "Save"}).status_code == 403
    operator.post(f"{LIST}bad/delete/", {"post": "yes"})
    assert not connection.exists("rq:cron_job:bad")


def test_a_hand_made_request_must_say_what_was_loaded(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("old", func_name=BUILD, args=("daily",))
    schedule("other", func_name=BUILD, args=("daily",))
    form = load(operator, change_url("old"))
    strange = load(operator, change_url("other"))["base"]
    for base in ("", "x", strange, None):
        response = send(operator, change_url("old"), form, interval="77", base=base)
        assert "incomplete" in errors(response)["__all__"][0]
    assert RedisCronJob.fetch("old", connection).interval == 300
    assert messages(operator.get(LIST)) == []
