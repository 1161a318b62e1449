"""Metrics: each says what is so, in formats that Prometheus reads, whatever else Redis holds.

Seen to fail, each with this taken out: the escapes of labels, the comparison with the limit in
`_Reading._schedules`, `pcall` in the scripts `too_long` and `read_counts`, `except ResponseError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import click
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Queue, SimpleWorker
from rq.utils import now, utcformat

from django_rediscron import RedisCronJob, RedisCronScheduler, cli
from django_rediscron.core.monitoring.exposition import negotiate, openmetrics, text
from django_rediscron.core.monitoring.measurements import KINDS, read_metrics
from django_rediscron.core.process.session import REGISTRY_TTL
from django_rediscron.core.store import define_many
from django_rediscron.core.store.keys import (
    COUNTS,
    DISABLED,
    DROPPED,
    IN_FLIGHT,
    INDEX,
    LOCK,
    OUTCOMES_PREFIX,
    SCHEDULERS,
    job_key,
    outcomes_key,
)
from django_rediscron.core.story.following import Following
from django_rediscron.core.timing.cron_expression import parse
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.metrics import Collector
from tests import tasks

Key = tuple[str, frozenset[tuple[str, str]]]

HOUR = 3600
DAY = 24 * HOUR
PAST = datetime(2026, 6, 3, tzinfo=timezone.utc)


class Scrape:
    """What a scrape told, as prometheus_client reads it."""

    def __init__(self, families: Iterator[Any]) -> None:
        self.samples: dict[Key, float] = {}
        self.kinds: dict[str, str] = {}
        for family in families:
            self.kinds[family.name] = family.type
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.samples
                self.samples[key] = sample.value

    def __getitem__(self, name: str) -> Any:
        """The value of the only sample, or each by its labels without their names, sorted."""
        found = {
            tuple(value for _, value in sorted(labels)): number
            for (full, labels), number in self.samples.items()
            if full == f"rediscron_{name}"
        }
        return found[()] if set(found) == {()} else found


def scrape(connection: Redis, schedules: int = 1000) -> Scrape:
    return Scrape(text_string_to_metric_families(text(read_metrics(connection, schedules))))


def register(leader: RedisCronScheduler, id: str, **options: Any) -> RedisCronJob:
    return leader.register(
        options.pop("func", tasks.echo), "metrics", id=id, **{"interval": HOUR, **options}
    )


def work(connection: Redis) -> None:
    """Real runs, seen by the leader."""
    SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(burst=True)
    assert Following(connection).sweep(connection.get(LOCK).decode())


@pytest.fixture
def known(connection: Redis, leader: RedisCronScheduler) -> Redis:
    """Schedules of each state, runs that finished and failed, skips."""
    register(leader, "good")
    register(leader, "bad", func=tasks.fail)
    register(leader, "done", max_runs=1, cron="0 9 * * 1-5", interval=None)
    past = now() - timedelta(minutes=30)
    connection.hset(job_key("done"), "next_enqueue_time", utc_text(past))
    connection.zadd(INDEX, {"done": past.timestamp()})
    register(leader, "off", enabled=False)
    register(leader, "wrong", start_at=now() + timedelta(hours=5))
    connection.hset(job_key("wrong"), "last_error", "it cannot be imported")
    register(leader, "skips", start_at=now() - timedelta(minutes=90), catch_up="skip")
    late = now() - timedelta(minutes=90)
    connection.hset(job_key("skips"), "next_enqueue_time", utc_text(late))
    connection.zadd(INDEX, {"skips": late.timestamp()})
    leader.enqueue_jobs()
    work(connection)
    return connection


def test_values_are_those_of_a_known_state(known: Redis) -> None:
    begun = now().timestamp()
    found = scrape(known)
    assert found["up"] == 1
    assert found["schedules"] == {
        ("metrics", "enabled"): 3,
        ("metrics", "disabled"): 1,
        ("metrics", "finished"): 1,
        ("metrics", "error"): 1,
    }
    assert found["schedule_labels_omitted"] == 0
    assert (found["due"], found["lag_seconds"]) == (0, 0)
    assert (found["leaders"], found["standbys"]) == (1, 0)
    assert 0 <= found["leader_heartbeat_age_seconds"] < 60
    ids = ("bad", "done", "good", "off", "skips", "wrong")
    ends = {("metrics", id, status): 0 for id in ids for status in ("finished", "failed")}
    ends |= {("metrics", "bad", "failed"): 1}
    ends |= {("metrics", id, "finished"): 1 for id in ("good", "done")}
    assert found["runs_total"] == ends
    assert found["skips_total"] == {("catch_up", "skips"): 2}
    assert found["run_seconds_count"] == {("bad",): 1, ("done",): 1, ("good",): 1}
    assert found["run_seconds_bucket"]["+Inf", "good"] == 1
    assert found["run_seconds_bucket"]["3600.0", "good"] == 1
    assert 0 < found["run_seconds_sum"]["good",] < 60
    assert found["failures_in_a_row"] == {(id,): int(id == "bad") for id in ids}
    success = found["last_success_timestamp_seconds"]
    assert success.keys() == {("good",), ("done",)}
    assert begun - 60 < success["good",] <= begun
    waiting = ("bad", "good", "skips", "wrong")
    assert found["next_run_timestamp_seconds"].keys() == {(id,) for id in waiting}
    assert found["next_run_timestamp_seconds"]["good",] == pytest.approx(begun + HOUR, abs=60)
    begun_ones = ("bad", "good", "skips")  # "wrong" begins later
    assert found["interval_seconds"] == {(id,): HOUR for id in begun_ones}
    assert found["changed_timestamp_seconds"].keys() == {(id,) for id in ids}
    assert found["too_long_runs"] == {(id,): 0 for id in ids}
    assert found["notifications_dropped_total"] == 0
    known.hset(DROPPED, mapping={"mail": 3, "signals": 4, "damaged": "x"})
    assert scrape(known)["notifications_dropped_total"] == 7


def test_all_formats_say_the_same(known: Redis) -> None:
    registry = CollectorRegistry()
    registry.register(Collector(known))
    read = read_metrics(known)
    as_text = Scrape(text_string_to_metric_families(text(read)))
    as_openmetrics = Scrape(openmetrics_parser.text_string_to_metric_families(openmetrics(read)))
    of_client = Scrape(text_string_to_metric_families(generate_latest(registry).decode()))
    for other in (as_openmetrics, of_client):
        assert other.samples.keys() == as_text.samples.keys()
        assert other.kinds == as_text.kinds
    assert as_openmetrics.samples == as_text.samples
    moving = "rediscron_leader_heartbeat_age_seconds"
    assert {k: v for k, v in of_client.samples.items() if k[0] != moving} == {
        k: v for k, v in as_text.samples.items() if k[0] != moving
    }


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html", "text/plain"),
        ("application/openmetrics-text", "application/openmetrics-text"),
        ("application/openmetrics-text;version=0.0.1;q=1", "text/plain"),
        (
            "application/openmetrics-text; version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2",
            "application/openmetrics-text",
        ),
        ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", "text/plain"),
        (";;,=,application/openmetrics-text;version=", "text/plain"),
    ],
)
def test_a_scraper_gets_a_format_that_it_knows(accepted: str, kind: str) -> None:
    write, content_type = negotiate(accepted)
    assert content_type.startswith(f"{kind}; version=")
    assert write is {"text/plain": text}.get(kind, openmetrics)


def test_what_is_due_and_how_late_it_is(connection: Redis, leader: RedisCronScheduler) -> None:
    for id, seconds in {"a": 90, "b": 5}.items():
        register(leader, id)
        due = now() - timedelta(seconds=seconds)
        connection.hset(job_key(id), "next_enqueue_time", utc_text(due))
        connection.zadd(INDEX, {id: due.timestamp()})
    connection.zadd(INDEX, {"a name of RQ's own cron": PAST.timestamp()})
    found = scrape(connection)
    assert found["due"] == 2
    assert 90 <= found["lag_seconds"] < 150


def test_who_leads_and_who_stands_by(connection: Redis, leader: RedisCronScheduler) -> None:
    RedisCronScheduler(connection, name="standby").enter_registry()
    connection.zadd(SCHEDULERS, {"leader": now().timestamp() - 50})
    found = scrape(connection)
    assert (found["leaders"], found["standbys"]) == (1, 1)
    assert 50 <= found["leader_heartbeat_age_seconds"] < 110
    connection.delete(LOCK)  # it froze
    found = scrape(connection)
    assert (found["leaders"], found["leader_heartbeat_age_seconds"]) == (0, {})
    successor = RedisCronScheduler(connection, name="successor")
    successor.register_birth()  # beside the frozen one, which still counts itself as the leader
    found = scrape(connection)
    assert (found["leaders"], found["standbys"]) == (1, 1)
    assert found["leader_heartbeat_age_seconds"] < 50
    successor.register_death()
    assert scrape(connection)["leaders"] == 0
    connection.zadd(SCHEDULERS, {"standby": now().timestamp() - REGISTRY_TTL})
    assert scrape(connection)["standbys"] == 0


def test_a_run_that_takes_too_long(connection: Redis, leader: RedisCronScheduler) -> None:
    register(leader, "slow", max_runtime=1)
    leader.enqueue_jobs()
    (job_id,) = connection.hkeys(IN_FLIGHT)
    begun = utcformat(now() - timedelta(seconds=60))
    connection.hset(b"rq:job:" + job_id, mapping={"status": "started", "started_at": begun})
    assert scrape(connection)["too_long_runs"] == {("slow",): 0}
    following = Following(connection)
    assert following.sweep(connection.get(LOCK).decode())
    assert scrape(connection)["too_long_runs"] == {("slow",): 1}
    assert scrape(connection, schedules=0)["too_long_runs"] == 1
    assert scrape(connection, schedules=0)["runs_total"] == {
        ("metrics", "finished"): 0,
        ("metrics", "failed"): 0,
    }
    connection.hset(b"rq:job:" + job_id, "status", "finished")
    assert following.sweep(connection.get(LOCK).decode())
    assert scrape(connection)["too_long_runs"] == {("slow",): 0}


def test_when_a_schedule_was_changed(connection: Redis, leader: RedisCronScheduler) -> None:
    job = register(leader, "changed", enabled=False)
    created = scrape(connection)["changed_timestamp_seconds"]["changed",]
    leader.enqueue_jobs()
    job.enable()
    enabled = scrape(connection)["changed_timestamp_seconds"]["changed",]
    assert created < enabled <= now().timestamp()
    leader.enqueue_jobs()
    work(connection)
    assert scrape(connection)["changed_timestamp_seconds"]["changed",] == enabled


def test_above_the_limit_the_label_is_left_out_and_no_count_goes_back(known: Redis) -> None:
    assert scrape(known, schedules=6)["schedule_labels_omitted"] == 0
    before = scrape(known, schedules=5)
    assert before["schedule_labels_omitted"] == 1
    assert not any(dict(labels).get("schedule") for _, labels in before.samples)
    assert before["runs_total"] == {("metrics", "finished"): 2, ("metrics", "failed"): 1}
    assert before["skips_total"] == {("catch_up",): 2}
    assert before["run_seconds_count"] == 3
    assert before["schedules"] == scrape(known)["schedules"]
    assert before["next_run_timestamp_seconds"] == {}
    for id in ("good", "bad", "skips"):
        RedisCronJob.fetch(id, known).delete()
    after = scrape(known, schedules=2)
    counts = [key for key in before.samples if key[0].endswith(("_total", "_count", "_bucket"))]
    assert {key: after.samples[key] for key in counts} == {
        key: before.samples[key] for key in counts
    }


def test_a_count_goes_on_where_a_schedule_is_made_again(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    for number in (1, 2):
        job = register(leader, "again")
        leader.enqueue_jobs()
        work(connection)
        assert scrape(connection)["runs_total"]["metrics", "again", "finished"] == number
        job.delete()
        assert scrape(connection)["runs_total"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", [1000, 1001])
def test_a_thousand_have_labels(connection: Redis, number: int) -> None:
    jobs = [
        RedisCronJob(f"s{each}", "metrics", func=tasks.echo, interval=60) for each in range(number)
    ]
    define_many(jobs, connection)
    # Names of RQ's own cron are no schedules.
    connection.zadd(INDEX, {f"name {each}": PAST.timestamp() for each in range(50)})
    found = scrape(connection)
    assert found["schedules"] == {("metrics", "enabled"): number}
    assert found["schedule_labels_omitted"] == (number > 1000)
    assert len(found["interval_seconds"]) == (1000 if number <= 1000 else 0)


ODD_IDS = [
    'quotes " and \\ and \\n',
    "newline\nrediscron_up 0",
    "\r\t\x00\x1b",
    "# HELP}{=,",
    "日本 🎉",
    b"\xff\xfe not UTF-8",
    b"\xed\xa0\x80 a surrogate",
    r"\xff as text",
    "",
]


def test_odd_ids_and_queues_break_no_format(connection: Redis) -> None:
    for number, id in enumerate(ODD_IDS):
        raw = id if isinstance(id, bytes) else id.encode()
        fields = {"id": raw, "queue_name": raw, "interval": "60", "enabled": "1"}
        connection.hset(b"rq:cron_job:" + raw, mapping=fields)
        connection.zadd(INDEX, {raw: PAST.timestamp()})
        counts = {b"finished " + raw: number, b"skipped " + raw: 1, "run 1": 1}
        connection.hset(OUTCOMES_PREFIX.encode() + raw, mapping=counts)
        connection.hset(COUNTS, b"finished " + raw, number)
    for limit in (1000, 3):
        read = read_metrics(connection, limit)
        found = Scrape(text_string_to_metric_families(text(read)))
        assert sum(found["schedules"].values()) == len(ODD_IDS)
        assert sum(found["runs_total"].values()) == sum(range(len(ODD_IDS)))
        again = Scrape(openmetrics_parser.text_string_to_metric_families(openmetrics(read)))
        assert again.samples == found.samples
    labels = {queue for queue, *_ in scrape(connection)["runs_total"]}
    assert {'quotes " and \\ and \\n', "newline\nrediscron_up 0", "日本 🎉"} <= labels


def test_values_of_another_kind_are_left_out(connection: Redis, leader: RedisCronScheduler) -> None:
    for id in ("a", "b", "c"):
        register(leader, id)
    connection.delete(job_key("b"))
    connection.set(job_key("b"), "no hash")
    connection.hset(job_key("c"), mapping={"next_enqueue_time": "soon", "created_at": "\xff"})
    odd = {"finished metrics": "many", "run 1": "-1", "failures": "²", "last_success": "never"}
    connection.hset(outcomes_key("a"), mapping={**odd, "failed metrics": 10**30, " ": "", "x": 1})
    connection.set(outcomes_key("c"), "no hash")
    for key in (COUNTS, IN_FLIGHT):
        connection.delete(key)
        connection.set(key, "of another program")
    found = scrape(connection)
    assert found["schedules"] == {("metrics", "enabled"): 2, ("", "error"): 1}
    assert found["interval_seconds"] == {("a",): HOUR}
    assert found["runs_total"]["metrics", "a", "finished"] == 0
    assert found["pass_seconds_count"] == 0
    connection.delete(DISABLED)
    connection.set(DISABLED, "of another program")
    found = scrape(connection)
    assert (found["up"], found["leaders"]) == (1, 1)
    assert found["schedules"] == {}


def test_a_redis_that_is_away_is_down(connection: Redis) -> None:
    away = Redis(port=1)
    registry = CollectorRegistry()
    registry.register(Collector(away))  # asks for nothing
    told = generate_latest(registry).decode()
    assert Scrape(text_string_to_metric_families(told)).samples == {
        ("rediscron_up", frozenset()): 0
    }
    with pytest.raises(click.ClickException, match=r"127\.0\.0\.1:1.* cannot be reached"):
        cli.main(["metrics", "--url", "redis://127.0.0.1:1"], standalone_mode=False)


def test_what_a_collector_is_given_is_checked(connection: Redis) -> None:
    with pytest.raises(TypeError, match=r"redis\.Redis client"):
        Collector("redis://localhost")  # type: ignore[arg-type]
    for wrong in (-1, 1.5, True, "many", None):
        with pytest.raises(ValueError, match="schedules must be a whole number from 0 on, got"):
            Collector(connection, schedules=wrong)  # type: ignore[arg-type]


def test_the_command_prints_what_prometheus_reads(
    known: Redis, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*arguments: str) -> str:
        cli.main(["metrics", "--url", redis_url, *arguments], standalone_mode=False)
        return capsys.readouterr().out

    found = Scrape(text_string_to_metric_families(printed()))
    assert found.kinds.keys() == {name.removesuffix("_total") for name in KINDS}
    assert found["runs_total"]["metrics", "good", "finished"] == 1
    told = printed("--openmetrics", "--schedules", "5")
    assert told.endswith("# EOF\n")
    found = Scrape(openmetrics_parser.text_string_to_metric_families(told))
    assert found["runs_total"]["metrics", "finished"] == 2
    with pytest.raises(click.UsageError):
        printed("--schedules", "-1")


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("* * * * *", 60),
        ("*/20 * * * *", 20 * 60),
        ("0,50 * * * *", 50 * 60),
        ("0 * * * *", HOUR),
        ("0 9 * * *", DAY),
        ("*/5 9-17 * * *", 15 * HOUR + 5 * 60),
        ("30 6,18 * * *", 12 * HOUR),
        ("0 9 * * 1-5", 3 * DAY),
        ("0 9-17 * * 1-5", 2 * DAY + 16 * HOUR),
        ("0 0 1 * *", 31 * DAY),
        ("0 0 1 1 *", 365 * DAY),
        ("0 0 * 6 *", 335 * DAY + DAY),
        ("0 0 29 2 *", (365 * 3 + 366) * DAY),
        ("* * * * * */10", 10),
        ("0 0 * * * 30", DAY),
    ],
)
def test_the_longest_usual_gap(cron: str, seconds: int) -> None:
    assert parse(cron).longest_gap(2026, 6) == seconds
