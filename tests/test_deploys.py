"""Deploys: many processes, and more than one release, sync at the same time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob, register
from django_rediscron.core.store.keys import DELETED, INDEX, job_key
from django_rediscron.sync import declarations as declared_module
from django_rediscron.sync import orphans as orphans_module
from django_rediscron.sync import sync
from django_rediscron.sync import syncing as sync_module

from .forks import run_python
from .tasks import echo
from .test_overrides import edit, events, nothing_written, stored

WRITES = ("hset", "hmset", "hdel", "hincrby", "set", "del", "zadd", "zrem", "publish", "incr")


def release(*releases: list[dict[str, Any]], processes: int = 4, **options: Any) -> list[Any]:
    """Start so many processes of these releases at once; what each of them reports."""
    told = {"releases": releases, "processes": processes, "options": options}
    done = run_python("-m", "tests.deploys", json.dumps(told), check=True)
    reports: list[Any] = json.loads(done.stdout)
    assert not any("error" in report for report in reports), reports
    return reports


def once(reports: list[Any], field: str) -> Any:
    """What exactly one of the processes did, and the others found done."""
    (found,) = [report[field] for report in reports if report[field]]
    return found


BILLING = {"id": "billing", "interval": 600}
MAIL = {"id": "mail", "cron": "0 6 * * *"}


def test_a_history_of_deploys_and_edits(connection: Redis) -> None:
    """Each deploy is four processes that start at once."""

    def deploy(*schedules: dict[str, Any], **options: Any) -> list[Any]:
        with events(connection) as heard:
            reports = release(list(schedules), **options)
        announced.append(heard)
        return reports

    announced: list[list[tuple[str, str]]] = []

    # declare
    reports = deploy(BILLING, MAIL)
    assert sorted(announced.pop()) == [("created", "billing"), ("created", "mail")]
    assert sorted(id for report in reports for id in report["created"]) == ["billing", "mail"]
    assert stored(connection).declared is not None

    # edit, and redeploy unchanged
    edit(connection, interval=900)
    with nothing_written(connection):
        reports = release([BILLING, MAIL])
    for report in reports:
        assert not report["differs"]
        assert report["overridden"] == {"billing": {"interval": {"value": "900", "code": "600"}}}

    # the code changes what is overridden, and what is not
    before = stored(connection)
    reports = deploy({**BILLING, "interval": 700, "args": ["a"]}, MAIL)
    assert announced.pop() == [("updated", "billing")]
    assert once(reports, "updated") == {
        "billing": {
            "args": {"old": "[]", "new": '["a"]'},
            "declared interval": {"old": "600", "new": "700"},
        }
    }
    job = stored(connection)
    assert (job.interval, job.args, job.overrides) == (900, ("a",), {"interval": ("900", "700")})
    assert job.next_enqueue_time == before.next_enqueue_time
    assert job.revision == before.revision + 1

    # edit again: back to what the code says, and something else
    edit(connection, interval=700)
    edit(connection, "mail", cron="0 7 * * *")
    reports = deploy({**BILLING, "interval": 800}, {**MAIL, "cron": "0 5 * * *"})
    assert announced.pop() == [("updated", "billing")]
    assert stored(connection).interval == 800
    assert stored(connection).args == ()
    assert stored(connection, "mail").overrides == {"cron": ("0 7 * * *", "0 5 * * *")}

    # remove from the code
    reports = deploy({**BILLING, "interval": 800})
    assert announced.pop() == []
    assert once(reports, "orphaned") == ["mail"]
    assert all(report["orphans"] == ["mail"] for report in reports)
    orphan = stored(connection, "mail")
    assert orphan.orphaned_at is not None
    assert orphan.enabled
    assert connection.zscore(INDEX, "mail") is not None

    # roll back
    reports = deploy(BILLING, MAIL)
    assert announced.pop() == [("updated", "billing")]
    assert stored(connection).interval == 600
    mail = stored(connection, "mail")
    assert (mail.orphaned_at, mail.overrides) == (None, {"cron": ("0 7 * * *", "0 6 * * *")})
    assert mail.next_enqueue_time == orphan.next_enqueue_time

    # delete by hand, and redeploy
    mail.delete()
    reports = deploy(BILLING, {**MAIL, "cron": "0 4 * * *"})
    assert announced.pop() == []
    assert all(report["deleted"] == ["mail"] for report in reports)
    assert not connection.exists(job_key("mail"))

    # remove both, and prune
    reports = deploy(prune=True)
    assert announced.pop() == [("deleted", "billing")]
    assert once(reports, "pruned") == ["billing"]
    assert not connection.exists(job_key("billing"), DELETED)


def test_forty_processes_that_start_at_once_write_nothing(connection: Redis) -> None:
    declared = [{"id": f"number {number}", "interval": 600} for number in range(50)]
    release(declared, processes=1)
    before = writes(connection)

    with nothing_written(connection):
        reports = release(declared, processes=40)

    assert len(reports) == 40
    assert all(report["unchanged"] == 50 and not report["differs"] for report in reports)
    assert writes(connection) == {**before, "publish": before.get("publish", 0) + 1}, (
        "the one that ends the listening"
    )


def writes(connection: Redis) -> dict[str, int]:
    """How often each writing command was called, in scripts too."""
    stats: dict[str, Any] = connection.info("commandstats")
    calls = {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in WRITES}
    return {name: count for name, count in calls.items() if count}


def test_forty_processes_create_each_schedule_once(connection: Redis) -> None:
    declared = [{"id": f"number {number}", "interval": 600} for number in range(50)]
    with events(connection) as heard:
        reports = release(declared, processes=40)

    ids = sorted(each["id"] for each in declared)
    assert sorted(id for _, id in heard) == ids
    assert {event for event, _ in heard} == {"created"}
    assert all(stored(connection, id).revision == 0 for id in ids)
    assert sorted(id for report in reports for id in report["created"]) == ids


def test_two_releases_at_once_leave_each_schedule_whole(connection: Redis) -> None:
    """Whichever comes last: never the values of one and the declaration of the other."""
    old = [{"id": f"{n}", "interval": 600, "args": ["old"]} for n in range(30)]
    new = [{"id": f"{n}", "interval": 900, "args": ["new"]} for n in range(30)]
    release(old, processes=1)
    edit(connection, "7", name="by hand")

    release(old, new, processes=8)

    for n in range(30):
        job = stored(connection, str(n))
        assert (job.interval, job.args) in ((600, ("old",)), (900, ("new",)))
        assert list(job.overrides) == (["name"] if n == 7 else [])


# Between a sync's reading and its writing


Arrange = Callable[[Callable[[], object]], None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch, starting: None) -> Arrange:
    """Let something happen once after the next sync has read, before it writes."""

    def arrange(happen: Callable[[], object]) -> None:
        actions = [happen]

        def meanwhile(write: Callable[[Any, Redis], Any]) -> Callable[[Any, Redis], Any]:
            def later(changes: Any, connection: Redis) -> Any:
                if changes and actions:
                    actions.pop()()
                return write(changes, connection)

            return later

        for module, name in (
            (sync_module, "create_declared"),
            (sync_module, "write_merged"),
            (orphans_module, "write_merged"),
        ):
            monkeypatch.setattr(module, name, meanwhile(getattr(module, name)))

    return arrange


def declare(**options: Any) -> None:
    declared_module._declared.clear()
    register(**{"func": echo, "queue_name": "default", "id": "billing", "interval": 600, **options})


def test_an_edit_meanwhile_wins(connection: Redis, between: Arrange) -> None:
    declare()
    sync("default")
    declare(interval=700, args=("a",))
    between(lambda: edit(connection, interval=900))

    report = sync("default")

    job = stored(connection)
    assert (job.interval, job.args) == (900, ("a",))
    assert report.overridden == {"billing": {"interval": ("900", "700")}}


def test_an_edit_by_a_program_that_raises_no_revision_wins(
    connection: Redis, between: Arrange
) -> None:
    declare()
    sync("default")
    declare(interval=700)
    between(lambda: connection.hset(job_key("billing"), "interval", "900"))
    sync("default")
    assert stored(connection).overrides == {"interval": ("900", "700")}


def test_a_deletion_meanwhile_wins(connection: Redis, between: Arrange) -> None:
    declare()
    sync("default")
    declare(interval=700)
    between(lambda: stored(connection).delete())

    report = sync("default")

    assert (report.deleted, report.updated) == (["billing"], {})
    assert not connection.exists(job_key("billing"))


def test_what_is_created_meanwhile_is_not_written_over(connection: Redis, between: Arrange) -> None:
    declare()
    between(lambda: release([BILLING], processes=1) and edit(connection, interval=900))

    report = sync("default")

    assert (report.created, stored(connection).interval) == ([], 900)


def test_an_orphan_that_is_declared_again_meanwhile_is_not_disabled(
    connection: Redis, between: Arrange
) -> None:
    declare()
    sync("default")
    declared_module._declared.clear()

    def declared_again() -> None:
        job = RedisCronJob.fetch("billing", connection)
        connection.hset(job.key, "application", "another release")

    between(declared_again)
    report = sync("default", disable_orphans=True)

    assert (report.orphans, report.disabled) == ([], [])
    assert stored(connection).enabled
    assert stored(connection).orphaned_at is None
