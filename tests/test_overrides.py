"""Schedules that code declares and people change: both kinds of change survive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import override_settings
from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue

from django_rediscron import (
    InvalidScheduleError,
    RedisCronJob,
    RedisCronScheduler,
    ScheduleLockedError,
    register,
)
from django_rediscron.cli.listing import reader
from django_rediscron.cli.listing.as_json import to_json
from django_rediscron.cli.listing.table import render
from django_rediscron.core.declared.tombstones import read_tombstones
from django_rediscron.core.store import list_schedules
from django_rediscron.core.store.change import Change
from django_rediscron.core.store.keys import DELETED, DISABLED, EVENTS, INDEX, LAST_UPDATE, job_key
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.sync import declarations as declared_module
from django_rediscron.sync import reset, sync
from django_rediscron.sync.report import SyncReport

from .tasks import echo


@pytest.fixture(autouse=True)
def _start(starting: None) -> None:
    """Every test is a project that starts up."""


def deploy(*schedules: dict[str, Any], **options: Any) -> SyncReport:
    """Start a release that declares these schedules, and sync."""
    declared_module._declared.clear()
    for schedule in schedules:
        register(**{"func": echo, "queue_name": "default", **schedule})
    return sync("default", **options)


def billing(**options: Any) -> dict[str, Any]:
    timing = {} if "cron" in options else {"interval": 600}
    return {"id": "billing", **timing, **options}


def stored(connection: Redis, id: str = "billing") -> RedisCronJob:
    return RedisCronJob.fetch(id, connection)


def edit(connection: Redis, id: str = "billing", **attributes: Any) -> None:
    job = stored(connection, id)
    for name, value in attributes.items():
        setattr(job, name, value)
    job.save()


@contextmanager
def events(connection: Redis) -> Iterator[list[tuple[str, str]]]:
    """What is announced inside."""
    heard: list[tuple[str, str]] = []
    with connection.pubsub() as pubsub:
        pubsub.subscribe(EVENTS)
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        yield heard
        connection.publish(EVENTS, "the end")
        while (message := pubsub.get_message(timeout=5))["data"] != b"the end":
            event = json.loads(message["data"])
            heard.append((event["event"], event["job_id"]))


def everything(connection: Redis) -> dict[bytes, Any]:
    """All that stands in Redis."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": connection.hgetall,
        b"list": lambda key: connection.lrange(key, 0, -1),
        b"zset": lambda key: connection.zrange(key, 0, -1, withscores=True),
        b"string": connection.get,
    }
    return {key: read[connection.type(key)](key) for key in connection.scan_iter()}


@contextmanager
def nothing_written(connection: Redis) -> Iterator[None]:
    before = everything(connection)
    with events(connection) as heard:
        yield
    assert heard == []
    assert everything(connection) == before


# What is known of the code


def test_the_hash_says_what_the_code_says(connection: Redis) -> None:
    deploy(billing(args=("a",)))

    job = stored(connection)
    assert (job.source, job.application) == ("code", "tests.settings")
    assert job.place is not None
    assert job.place.startswith("tests/test_overrides.py:")
    assert job.declared is not None
    assert job.declared["interval"] == "600"
    assert job.declared["args"] == '["a"]'
    assert "cron" not in job.declared, "defaults are left out"
    assert (job.overrides, job.locked, job.orphaned_at) == ({}, False, None)


def test_what_people_make_comes_from_them(connection: Redis) -> None:
    RedisCronJob("mail", "default", func=echo, interval=5, connection=connection).save()

    job = stored(connection, "mail")
    assert (job.source, job.application, job.place, job.declared) == ("runtime", None, None, None)
    assert job.overrides == {}
    with pytest.raises(InvalidScheduleError, match="no code declares it"):
        job.reset()


# Overrides


def by_save(connection: Redis) -> None:
    edit(connection, interval=900)


def by_register(connection: Redis) -> None:
    RedisCronScheduler(connection).register(echo, "default", id="billing", interval=900)


def by_pipeline(connection: Redis) -> None:
    job = stored(connection)
    job.interval = 900
    with connection.pipeline() as pipe:
        job.save(pipeline=pipe)
        pipe.execute()


def by_redis_cli(connection: Redis) -> None:
    connection.hset(job_key("billing"), "interval", "900")


def by_rq_rediscron(connection: Redis) -> None:
    """It writes all fields, defaults too, and JSON in its own form."""
    connection.hset(
        job_key("billing"),
        mapping={
            "interval": "900",
            "args": '["a", 1]',
            "kwargs": "{}",
            "cron": "",
            "ttl": "",
            "failure_ttl": "",
            "job_timeout": "",
            "meta": "{}",
            "enabled": "1",
            "updated_at": "2026-06-03T05:40:00.000000Z",
        },
    )


@pytest.mark.parametrize("change", [by_save, by_pipeline, by_redis_cli, by_rq_rediscron])
def test_what_somebody_changed_stays_and_the_rest_follows_the_code(
    connection: Redis, change: Callable[[Redis], None]
) -> None:
    deploy(billing(args=("a", 1)))
    change(connection)
    assert stored(connection).overrides == {"interval": ("900", "600")}

    with nothing_written(connection):
        report = sync("default")
    assert report.overridden == {"billing": {"interval": ("900", "600")}}
    assert not report.differs

    report = deploy(billing(args=("b",), interval=700))

    assert report.updated["billing"]["args"] == ('["a",1]', '["b"]')
    assert report.updated["billing"]["declared interval"] == ("600", "700")
    job = stored(connection)
    assert (job.interval, job.args) == (900, ("b",))
    assert job.overrides == {"interval": ("900", "700")}


@pytest.mark.parametrize("field", ["name", "meta", "timezone", "jitter", "notify", "retry"])
def test_any_field_of_the_definition_can_be_overridden(connection: Redis, field: str) -> None:
    raw = {"jitter": "3", "retry": '{"max":2,"intervals":[5]}', "meta": '{"a":1}', "notify": "0"}
    text = raw.get(field, "Europe/Berlin")
    deploy(billing(cron="0 6 * * *"))
    connection.hset(job_key("billing"), field, text)

    assert list(stored(connection).overrides) == [field]
    deploy(billing(cron="0 7 * * *"))
    job = stored(connection)
    assert job.cron == "0 7 * * *"
    assert list(job.overrides) == [field]
    job.reset()
    assert job.overrides == {}
    assert not connection.hexists(job_key("billing"), field)


def test_setting_it_back_ends_the_override(connection: Redis) -> None:
    deploy(billing())
    edit(connection, interval=900)
    edit(connection, interval=600)
    assert stored(connection).overrides == {}

    deploy(billing(interval=700))
    assert stored(connection).interval == 700


def test_code_that_comes_to_say_the_same_ends_the_override(connection: Redis) -> None:
    deploy(billing())
    edit(connection, interval=900)
    report = deploy(billing(interval=900))
    assert report.updated == {"billing": {"declared interval": ("600", "900")}}

    deploy(billing(interval=1200))
    assert stored(connection).interval == 1200


def test_interval_and_cron_are_overridden_together(connection: Redis) -> None:
    deploy(billing())
    edit(connection, interval=None, cron="0 6 * * *")
    assert stored(connection).overrides == {"interval": ("", "600"), "cron": ("0 6 * * *", "")}

    deploy(billing(interval=700))
    job = stored(connection)
    assert (job.interval, job.cron) == (None, "0 6 * * *")

    job.reset("interval")
    assert (job.interval, job.cron, job.overrides) == (700, None, {})


def test_whether_it_is_enabled_is_said_for_the_beginning_only(connection: Redis) -> None:
    deploy(billing(enabled=False))
    assert stored(connection).enabled is False

    stored(connection).enable()
    assert stored(connection).overrides == {}
    deploy(billing(enabled=False, args=("a",)))
    assert stored(connection).enabled is True

    deploy(billing(enabled=True))
    stored(connection).disable()
    deploy(billing(enabled=True, args=("b",)))
    assert stored(connection).enabled is False
    stored(connection).reset("enabled")
    assert stored(connection).enabled is True


# What a sync leaves alone


def test_a_sync_leaves_times_alone_where_the_timing_stays(connection: Redis) -> None:
    deploy(billing())
    job = stored(connection)
    job.set_enqueue_time(job.created_at)
    times = (job.latest_enqueue_time, job.next_enqueue_time)
    score = connection.zscore(INDEX, "billing")

    with events(connection) as heard:
        deploy(billing(args=("b",)))
    assert heard == [("updated", "billing")]
    job = stored(connection)
    assert (job.latest_enqueue_time, job.next_enqueue_time) == times
    assert connection.zscore(INDEX, "billing") == score

    deploy(billing(args=("b",), interval=6000))
    job = stored(connection)
    assert job.latest_enqueue_time == times[0]
    assert job.next_enqueue_time > times[1]


def test_a_declaration_that_moved_is_no_change(connection: Redis) -> None:
    deploy(billing())
    revision = stored(connection).revision
    register_elsewhere()
    with events(connection) as heard:
        report = sync("default")

    assert (report.unchanged, report.differs, heard) == (1, False, [])
    job = stored(connection)
    assert (job.place, job.revision) == (place_of_elsewhere(), revision)


def register_elsewhere() -> None:
    declared_module._declared.clear()
    register(echo, "default", id="billing", interval=600)


def place_of_elsewhere() -> str:
    line = register_elsewhere.__code__.co_firstlineno + 2
    return f"tests/test_overrides.py:{line}"


# Adoption


def test_a_schedule_that_code_declares_for_the_first_time_is_adopted(connection: Redis) -> None:
    made = RedisCronJob("billing", "default", func=echo, interval=900, connection=connection)
    made.enabled = False
    made.save()

    report = deploy(billing())

    changes = {"interval": ("900", "600"), "source": ("runtime", "code")}
    assert report.updated == {"billing": changes}
    job = stored(connection)
    assert (job.interval, job.source, job.enabled) == (600, "code", False)


def test_the_last_application_that_declares_it_owns_it(connection: Redis) -> None:
    deploy(billing())
    edit(connection, interval=900)
    with override_settings(REDISCRON={"APPLICATION": "other"}):
        report = deploy(billing(args=("a",)))
        assert report.updated["billing"]["application"] == ("tests.settings", "other")
    job = stored(connection)
    assert (job.application, job.interval, job.args) == ("other", 900, ("a",))


# Deletion


def test_what_is_deleted_by_hand_stays_deleted_until_it_is_reset(connection: Redis) -> None:
    deploy(billing())
    stored(connection).delete()
    with nothing_written(connection):
        report = sync("default")
    assert (report.deleted, report.differs) == (["billing"], False)
    (tombstone,) = read_tombstones(connection).values()
    assert (tombstone.id, tombstone.application) == ("billing", "tests.settings")

    report = deploy(billing(args=("new",)))
    assert report.deleted == ["billing"]
    assert not connection.exists(job_key("billing"))

    assert reset("billing", check=True).created == ["billing"]
    assert not connection.exists(job_key("billing"))
    assert reset("billing").created == ["billing"]
    assert stored(connection).args == ("new",)
    assert not connection.exists(DELETED)


def test_deletion_in_a_pipeline_is_one_too(connection: Redis) -> None:
    deploy(billing())
    with connection.pipeline() as pipe:
        stored(connection).delete(pipeline=pipe)
        pipe.execute()
    assert sync("default").deleted == ["billing"]


def test_what_is_created_again_by_hand_differs_at_once(connection: Redis) -> None:
    deploy(billing())
    stored(connection).delete()
    RedisCronScheduler(connection).register(echo, "default", id="billing", interval=900)

    job = stored(connection)
    assert (job.source, job.overrides) == ("code", {"interval": ("900", "600")})
    assert not connection.exists(DELETED)
    assert sync("default").overridden == {"billing": {"interval": ("900", "600")}}


def test_what_another_program_created_again_differs_too(connection: Redis) -> None:
    deploy(billing())
    fields = connection.hgetall(job_key("billing"))
    stored(connection).delete()
    kept = (b"id", b"func_name", b"queue_name", b"enabled")
    connection.hset(job_key("billing"), mapping={name: fields[name] for name in kept})
    connection.hset(job_key("billing"), mapping={"interval": "900", "result_ttl": "500"})

    assert sync("default").overridden == {"billing": {"interval": ("900", "600")}}
    assert not connection.exists(DELETED)


def test_a_tombstone_goes_when_the_code_follows(connection: Redis) -> None:
    deploy(billing())
    stored(connection).delete()
    deploy()
    assert not connection.exists(DELETED)
    assert deploy(billing()).created == ["billing"]


# Orphans


def test_what_is_no_longer_declared_is_flagged_and_runs_on(connection: Redis) -> None:
    deploy(billing(), billing(id="mail"))
    with events(connection) as heard:
        report = deploy(billing(id="mail"))
    assert (report.orphaned, report.orphans, heard) == (["billing"], ["billing"], [])
    assert stored(connection).orphaned_at is not None
    assert stored(connection).enabled
    assert connection.zscore(INDEX, "billing") is not None
    with nothing_written(connection):
        report = sync("default")
    assert (report.orphaned, report.orphans, report.differs) == ([], ["billing"], False)

    report = deploy(billing(), billing(id="mail"))
    assert "orphaned_at" in report.updated["billing"]
    assert stored(connection).orphaned_at is None


def test_prune_deletes_orphans_only(connection: Redis) -> None:
    RedisCronJob("by hand", "default", func=echo, interval=5, connection=connection).save()
    with override_settings(REDISCRON={"APPLICATION": "other"}):
        deploy(billing(id="of another application"))
    deploy(billing(), billing(id="mail"), billing(id="off", enabled=False))

    assert deploy(billing(), check=True, prune=True).pruned == ["mail", "off"]
    assert stored(connection, "mail").orphaned_at is None
    with events(connection) as heard:
        report = deploy(billing(), prune=True)

    assert (report.pruned, report.orphans) == (["mail", "off"], [])
    assert heard == [("deleted", "mail"), ("deleted", "off")]
    left = [job.id for job in list_schedules(connection).jobs]
    assert left == ["billing", "by hand", "of another application"]
    assert not connection.exists(DELETED), "what is pruned may be declared again"


def test_orphans_that_a_sync_disabled_run_again_when_they_are_declared_again(
    connection: Redis,
) -> None:
    deploy(billing(), billing(id="mail"))
    with events(connection) as heard:
        report = deploy(disable_orphans=True)
    assert report.disabled == ["billing", "mail"]
    assert sorted(heard) == [("disabled", "billing"), ("disabled", "mail")]
    assert connection.zscore(DISABLED, "billing") is not None

    stored(connection, "mail").enable()
    stored(connection, "mail").disable()  # now somebody wants it to be so
    deploy(billing(), billing(id="mail"))
    assert stored(connection).enabled is True
    assert stored(connection, "mail").enabled is False


def test_an_orphan_that_a_sync_disabled_and_somebody_edited_runs_again_too(
    connection: Redis,
) -> None:
    deploy(billing())
    deploy(disable_orphans=True)
    edit(connection, name="a label")
    deploy(billing())
    job = stored(connection)
    assert (job.enabled, job.name) == (True, "a label")

    deploy(disable_orphans=True)
    edit(connection, name="another", enabled=True)
    stored(connection).disable()
    deploy(billing())
    assert stored(connection).enabled is False, "somebody wants it to be so"


def test_orphans_are_found_that_another_program_took_out_of_the_index(connection: Redis) -> None:
    """rq-rediscron keeps no index of what is disabled."""
    deploy(billing())
    connection.hset(job_key("billing"), "enabled", "0")
    connection.zrem(INDEX, "billing")
    connection.set(LAST_UPDATE, "1")

    with nothing_written(connection):
        assert deploy(check=True).orphaned == ["billing"]
    assert deploy(prune=True).pruned == ["billing"]
    assert not connection.exists(job_key("billing"))


def test_a_check_tells_new_orphans_from_known_ones(connection: Redis) -> None:
    deploy(billing(), billing(id="mail"))
    deploy(billing())

    report = deploy(check=True)
    assert list(report.lines())[:2] == [
        "orphan  billing: no longer declared",
        "kept  mail: an orphan, no longer declared",
    ]
    assert list(deploy(disable_orphans=True).lines())[:2] == [
        "disabled  billing: no longer declared",
        "disabled  mail: no longer declared",
    ]


def test_what_moved_to_another_redis_runs_there_only(connection: Redis) -> None:
    from django_rediscron.queues import get_connection

    other = get_connection("elsewhere")
    other.flushdb()
    deploy(billing())
    declared_module._declared.clear()
    register(echo, "elsewhere", id="billing", interval=600)
    report = sync()

    assert (report.created, report.orphaned) == (["billing"], ["billing"])
    assert (report.disabled, report.moved) == (["billing"], ["billing"])
    assert "disabled  billing: declared on another Redis now" in list(report.lines())
    assert stored(connection).orphaned_at is not None
    assert (stored(connection).enabled, stored(other).enabled) == (False, True)

    declared_module._declared.clear()
    register(echo, "default", id="billing", interval=600)
    sync()
    assert (stored(connection).enabled, stored(other).enabled) == (True, False)
    other.flushdb()


def test_what_may_have_moved_to_a_redis_that_is_away_runs_on(connection: Redis) -> None:
    deploy(billing())
    declared_module._declared.clear()
    register(echo, "nowhere", id="billing", interval=600)
    sync("default")
    assert stored(connection).orphaned_at is not None
    assert stored(connection).enabled


# Locked


def test_nobody_but_the_code_changes_what_is_locked(connection: Redis) -> None:
    deploy(billing(locked=True))
    place = stored(connection).place
    assert stored(connection).locked
    job = stored(connection)
    job.interval = 900
    scheduler = RedisCronScheduler(connection)
    attempts: list[Callable[[], object]] = [
        job.save,
        lambda: scheduler.register(echo, "default", id="billing", interval=900),
        lambda: stored(connection).disable(),
        lambda: stored(connection).delete(),
    ]
    with nothing_written(connection):
        for attempt in attempts:
            with pytest.raises(ScheduleLockedError) as error:
                attempt()
            assert "'billing'" in str(error.value)
            assert str(place) in str(error.value)
        for queue in (job.save, stored(connection).disable, stored(connection).delete):
            with connection.pipeline() as pipe:
                queue(pipeline=pipe)
                with pytest.raises(ResponseError, match="SCHEDULELOCKED.*billing.*" + str(place)):
                    pipe.execute()

    deploy(billing(locked=True, interval=1200))
    assert stored(connection).interval == 1200


def test_what_is_saved_unchanged_changes_nothing_locked(connection: Redis) -> None:
    deploy(billing(locked=True, args=("a",)))
    stored(connection).save()
    RedisCronScheduler(connection).register(
        echo, "default", id="billing", interval=600, args=("a",)
    )
    job = stored(connection)
    job.set_enqueue_time(job.get_next_enqueue_time())


def test_a_lock_undoes_what_was_overridden_deleted_or_switched(connection: Redis) -> None:
    deploy(billing(), billing(id="mail"), billing(id="off", enabled=False))
    edit(connection, interval=900)
    stored(connection).disable()
    stored(connection, "mail").delete()
    stored(connection, "off").enable()

    locked = {"locked": True}
    report = deploy(
        billing(**locked), billing(id="mail", **locked), billing(id="off", enabled=False, **locked)
    )

    assert report.created == ["mail"]
    assert report.updated["billing"]["enabled"] == ("0", "1")
    job = stored(connection)
    assert (job.interval, job.enabled, job.overrides) == (600, True, {})
    assert stored(connection, "off").enabled is False
    connection.hset(job_key("billing"), "interval", "900")
    assert sync("default").updated == {"billing": {"interval": ("900", "600")}}


def test_an_orphan_is_not_locked(connection: Redis) -> None:
    deploy(billing(locked=True))
    deploy()
    edit(connection, interval=900)
    stored(connection).delete()
    assert not connection.exists(job_key("billing"))


# Errors of one


def test_one_that_cannot_be_written_does_not_stop_the_others(connection: Redis) -> None:
    report = deploy(
        billing(id="bad", func="tests.tasks.no_such_function"), billing(func="tests.tasks.echo")
    )

    assert report.created == ["billing"]
    assert "tests/test_overrides.py" in report.failed["bad"]
    assert "no_such_function" in report.failed["bad"]
    assert report.differs
    assert not connection.exists(job_key("bad"))


class BrokenQueue(Queue):
    """What the code of others may do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no queue today")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"QUEUE_CLASS": "tests.test_overrides.BrokenQueue"}, "RuntimeError: no queue today"),
        ({"QUEUE_CLASS": "tests.no.such.Class"}, "check its QUEUE_CLASS"),
        ({"URL": "redis://:sec ret@[::1/0"}, "leads to no Redis (ValueError)"),
        ({"URL": "redis://127.0.0.1/0?colour=red"}, "leads to no Redis (TypeError)"),
        ({"URL": "redis://secret:12#secret@127.0.0.1:1/0"}, "# as %23"),
        ({"URL": None}, "queue 'bad' cannot be used"),
    ],
)
def test_one_that_fails_unexpectedly_does_not_stop_the_others_either(
    connection: Redis,
    redis_url: str,
    config: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queues = {"default": {"URL": redis_url}, "bad": {"URL": redis_url, **config}}
    # older releases of django-rq read the setting when they are imported
    monkeypatch.setattr("django_rq.settings.QUEUES", queues, raising=False)
    with override_settings(RQ_QUEUES=queues):
        report = deploy(billing(id="bad", queue_name="bad"), billing())

    assert report.created == ["billing"]
    assert reason in report.failed["bad"]
    assert "(declared at tests/test_overrides.py:" in report.failed["bad"]
    assert "sec" not in report.failed["bad"]


def test_one_whose_times_cannot_be_computed_does_not_stop_the_others(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails when what is to be written is made, beside the others of its batch."""
    to_script = Change.to_script

    def failing(change: Change, moment: Any) -> Any:
        if change.job.id == "bad":
            raise RuntimeError("out of time")
        return to_script(change, moment)

    monkeypatch.setattr(Change, "to_script", failing)
    report = deploy(*(billing(id=id, jitter=1) for id in ("a", "bad", "c")))

    assert sorted(report.created) == ["a", "c"]
    assert report.failed["bad"].startswith("RuntimeError('out of time') (declared at ")
    assert stored(connection, "c").interval == 600


def test_what_the_code_says_in_bytes_that_are_no_text_is_healed(connection: Redis) -> None:
    deploy(billing(), billing(id="mail"))
    connection.hset(job_key("billing"), "args", b"\xff\xfe")
    connection.hset(job_key("mail"), "declared", b"\xff not JSON")

    sync("default")
    assert stored(connection).args == ()
    assert stored(connection, "mail").declared["interval"] == "600"
    assert not sync("default").differs
    assert connection.get(LAST_UPDATE) is not None


# Listings


def test_the_listing_says_what_is_not_as_the_code_says(connection: Redis) -> None:
    deploy(*(billing(id=id) for id in ("as declared", "changed", "deleted", "orphan")))
    edit(connection, "changed", interval=900)
    stored(connection, "deleted").delete()
    deploy(*(billing(id=id) for id in ("as declared", "changed", "deleted")))
    since = stored(connection, "orphan").orphaned_at
    place = read_tombstones(connection)["deleted"].place

    listing = reader(connection)()
    lines = render(listing).splitlines()

    at = lines.index("3 scheduled jobs total")
    assert lines[at + 1 : at + 4] == [
        "code     changed: overridden: interval 900 (code: 600)",
        f"code     orphan: orphan: no longer declared since {utc_text(since)}, then at "
        f"{stored(connection, 'orphan').place}",
        f"code     deleted: deleted by hand, declared at {place}",
    ]
    told = json.loads(to_json(listing))
    jobs = {job["id"]: job for job in told["jobs"]}
    assert jobs["changed"]["overrides"] == {"interval": {"value": "900", "code": "600"}}
    assert jobs["as declared"]["overrides"] == {}
    assert jobs["orphan"]["orphaned_at"] == utc_text(since)
    assert (jobs["orphan"]["source"], jobs["orphan"]["application"]) == ("code", "tests.settings")
    assert told["deleted"] == [{"id": "deleted", "application": "tests.settings", "place": place}]
    assert json.loads(to_json(listing, ["reports"]))["deleted"] == []
