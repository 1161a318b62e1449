"""The three ways through this package, and the files that each of them enters.

`python -m tests.ways` prints them in the order in which they are entered, on a real server: the
fewer they are, the less one has to read to follow what happens. A file is entered when a function
of it is called, in whatever thread, by what is not a test: importing it is not enough.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import django
from redis import Redis

import django_rediscron
from tests import server
from tests.processes import wait_until

PACKAGE = str(Path(django_rediscron.__file__).parent) + os.sep

DECLARED = "a declaration becomes a job"
EDITED = "an edit in the admin becomes a hash"
DUE = "what is due becomes jobs"

LIMITS = {DECLARED: 68, EDITED: 40, DUE: 30}
"""Files at most, as counted last. The goals are 35, 28 and 15."""

Files = dict[str, list[str]]


@contextmanager
def entering() -> Iterator[list[str]]:
    """Files of the package that are entered in this block."""
    files: dict[str, None] = {}

    def see(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and code.co_name != "<module>":
            files.setdefault(code.co_filename.removeprefix(PACKAGE))

    found: list[str] = []
    threading.setprofile(see)
    sys.setprofile(see)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        found += files


def declaration(connection: Redis) -> list[str]:
    """`register` in a ready hook, and a scheduler that syncs and makes one pass."""
    from django.apps import apps
    from django.core.management import call_command

    from django_rediscron import register
    from tests.tasks import echo

    def declare_and_run(id: str) -> None:
        apps.ready = False
        register(echo, "default", id=id, interval=3600)
        apps.ready = True
        call_command("rqcron_scheduler", burst=True, verbosity=0)

    declare_and_run("first")  # imports what the way needs
    with entering() as files:
        declare_and_run("second")
    assert connection.llen("rq:queue:default") == 2
    return files


def edit(connection: Redis) -> list[str]:
    """The POST of a change form."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_rediscron import RedisCronJob
    from tests.admin.forms import change_url, load, send
    from tests.tasks import echo

    RedisCronJob("job", "default", echo, interval=60, connection=connection).save()
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    url = change_url("job")
    send(client, url, load(client, url), interval="70")
    form = load(client, url)
    with entering() as files:
        send(client, url, form, interval="80")
    assert connection.hget("rq:cron_job:job", "interval") == b"80"
    return files


def due(connection: Redis) -> list[str]:
    """One pass of a scheduler, over a schedule that it remembers and one that it never saw."""
    from django_rediscron import RedisCronJob, get_scheduler
    from django_rediscron.core.store.keys import INDEX
    from tests.tasks import echo

    scheduler = get_scheduler()
    scheduler.register_birth()
    RedisCronJob("remembered", "default", echo, interval=1, connection=connection).save()
    scheduler.enqueue_jobs()
    wait_until(lambda: connection.zscore(INDEX, "remembered") <= time.time())
    RedisCronJob("new", "default", echo, interval=60, connection=connection).save()
    with entering() as files:
        jobs = scheduler.enqueue_jobs()
    assert {job.id for job in jobs} == {"remembered", "new"}
    scheduler.register_death()
    return files


WAYS: dict[str, Callable[[Redis], list[str]]] = {DECLARED: declaration, EDITED: edit, DUE: due}


def trace() -> Files:
    """The files of each way, in the order in which they are entered."""
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0)
    found = {}
    with Redis.from_url(server.url()) as connection:
        for name, way in WAYS.items():
            connection.flushdb()
            found[name] = way(connection)
    return found


def main() -> None:
    try:
        found = trace()
    finally:
        server.stop()
    if sys.argv[1:] == ["--json"]:
        print(json.dumps(found))
    else:
        for name, files in found.items():
            print(f"{name}: {len(files)} files, {LIMITS[name]} at most")
            print("".join(f"    {file}\n" for file in files))


if __name__ == "__main__":
    main()
