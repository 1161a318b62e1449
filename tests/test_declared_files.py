"""Schedules that a project declares in files, as if in code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from redis import Redis

from django_rediscron import RedisCronJob, ScheduleLockedError, register
from django_rediscron.checks import check_declared, check_settings
from django_rediscron.core import InvalidScheduleError
from django_rediscron.sync import declarations as declared
from django_rediscron.sync import reset, sync
from django_rediscron.testing import check_declarations

from .tasks import echo


class Files:
    """The files of a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str = "schedules.json", **schedules: dict[str, Any]) -> None:
        content: dict[str, Any] = {
            id: {"function": "tests.tasks.echo", "queue": "default", "interval": "10m", **said}
            for id, said in schedules.items()
        }
        text = json.dumps({"version": 1, "schedules": content}, indent=1)
        (self.folder / name).write_text(text)


@pytest.fixture
def files(
    connection: Redis, rq_queues: None, tmp_path: Path, settings: Any, monkeypatch: Any
) -> Files:
    monkeypatch.setattr(declared, "_declared", {})
    settings.BASE_DIR = tmp_path
    settings.REDISCRON = {"FILES": ["schedules.json"], "APPLICATION": "site"}
    return Files(tmp_path)


def stored(connection: Redis, id: str = "a") -> RedisCronJob:
    return RedisCronJob.fetch(id, connection)


def test_a_file_declares_why_a_schedule_is_disabled_at_first(
    files: Files, connection: Redis
) -> None:
    files.write(a={"enabled": False, "disabled_reason": "not yet"}, b={"enabled": False})
    assert sorted(sync("default").created) == ["a", "b"]
    assert (stored(connection).enabled, stored(connection).disabled_reason) == (False, "not yet")
    stored(connection).disable(reason="by hand")
    files.write(a={"enabled": False, "disabled_reason": "not yet", "interval": 5})
    sync("default")
    assert (stored(connection).interval, stored(connection).disabled_reason) == (5, "by hand")


def test_a_file_declares_as_code_does(files: Files, connection: Redis) -> None:
    files.write(a={"jitter": "5s", "enabled": False}, b={})
    assert sorted(sync("default").created) == ["a", "b"]
    job = stored(connection)
    assert (job.place, job.source, job.application) == ("schedules.json:4", "code", "site")
    assert (job.jitter, job.enabled) == (5, False)
    job.enabled, job.interval = True, 900
    job.save()
    files.write(a={"jitter": "7s", "enabled": False})
    report = sync("default")
    job = stored(connection)
    assert (job.jitter, job.interval, job.enabled) == (7, 900, True)
    assert job.overrides == {"interval": ("900", "600")}
    assert list(report.orphans) == ["b"]
    reset("a")
    assert stored(connection).interval == 600
    sync("default", prune=True)
    assert not connection.exists("rq:cron_job:b")


def test_a_file_may_lock(files: Files, connection: Redis) -> None:
    files.write(a={"locked": True})
    sync("default")
    with pytest.raises(ScheduleLockedError, match=r"schedules\.json:4"):
        stored(connection).disable()


def test_a_check_tells_what_would_change(files: Files, connection: Redis) -> None:
    files.write(a={})
    with pytest.raises(SystemExit) as ended:
        call_command("rqrcron_sync", "--check")
    assert ended.value.code == 1
    assert not connection.exists("rq:cron_job:a")
    call_command("rqrcron_sync")
    call_command("rqrcron_sync", "--check")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"interval": "often"}, "schedule 'a', declared at schedules.json:7:16: interval must be"),
        (
            {"queue": "unheard"},
            "schedule 'a', declared at schedules.json:4: queue 'unheard' is not",
        ),
        ({"max_runs": 0}, "schedule 'a', declared at schedules.json:8:16: max_runs must be"),
        (
            {"kwargs": {"token": "********"}},
            "schedule 'a', declared at schedules.json:8:14: kwargs",
        ),
        (
            {"start_at": "2026-06-03T00:00:00Z", "end_at": "2026-06-02T00:00:00Z"},
            "schedule 'a', declared at schedules.json:4: end_at must not be before",
        ),
    ],
)
def test_while_a_file_is_wrong_nothing_is_written(
    files: Files, connection: Redis, said: dict[str, Any], fault: str
) -> None:
    """Else its schedules would count as no longer declared, and be deleted."""
    files.write(a={}, b={})
    sync("default")
    before = {key: connection.dump(key) for key in connection.scan_iter()}
    files.write(a=said)
    with pytest.raises(InvalidScheduleError) as raised:
        sync("default", prune=True)
    assert str(raised.value).startswith(fault)
    for arguments, status in ([], 1), (["--check"], 2), (["--prune"], 1):
        with pytest.raises(CommandError) as refused:
            call_command("rqrcron_sync", *arguments)
        assert refused.value.returncode == status
    assert {key: connection.dump(key) for key in connection.scan_iter()} == before
    (error,) = check_declared()
    assert (error.id, error.msg.lower().startswith(fault.lower())) == (
        "django_rediscron.E009",
        True,
    )
    with pytest.raises(AssertionError, match=r"schedules\.json:"):
        check_declarations()


@pytest.mark.parametrize("text", [None, "{", "version: 1\n  a"])
def test_what_is_no_file_of_schedules_is_told(files: Files, text: str | None) -> None:
    if text is not None:
        (files.folder / "schedules.json").write_text(text)
    (error,) = check_declared()
    assert (error.id, error.msg[:19]) == ("django_rediscron.E009", "File schedules.json")


def test_a_function_that_is_missing_stops_no_other_schedule(
    files: Files, connection: Redis
) -> None:
    files.write(a={"function": "tests.tasks.nothing"}, b={})
    report = sync("default")
    assert (list(report.failed), list(report.created)) == (["a"], ["b"])
    (error,) = check_declared()
    assert error.id == "django_rediscron.E007"
    assert "declared at schedules.json:4" in error.msg


def test_one_id_is_declared_once(files: Files, settings: Any, starting: None) -> None:
    settings.REDISCRON = {"FILES": ["schedules.json", files.folder / "more.json"]}
    files.write(a={})
    files.write("more.json", a={})
    assert not check_declared()
    files.write("more.json", a={"jitter": 5})
    (error,) = check_declared()
    assert "declared twice, differently: at schedules.json:4 and at more.json:4" in error.msg
    files.write("more.json", b={})
    register(echo, "default", "b", interval=5)
    (error,) = check_declared()
    assert "at tests/test_declared_files.py:" in error.msg


def test_what_is_no_list_of_paths_is_told(files: Files, settings: Any) -> None:
    for wrong in ("schedules.json", [5], [""], None):
        settings.REDISCRON = {"FILES": wrong}
        (error,) = check_settings()
        assert (error.id, "list of paths" in error.msg) == ("django_rediscron.E003", True)


def test_an_import_does_not_lock(files: Files, connection: Redis) -> None:
    files.write(a={"locked": True})
    with pytest.raises(SystemExit):
        call_command("rqrcron", "import", str(files.folder / "schedules.json"))
    assert not connection.exists("rq:cron_job:a")
