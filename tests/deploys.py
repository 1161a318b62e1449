"""Processes of one or more releases that start up and sync at the same moment.

Called with one JSON object: `releases` (each a list of what it declares), `processes`, `options` of
`sync`. Prints a JSON list of the reports, a process' place in it tells its release.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from typing import Any


def main() -> None:
    import django

    django.setup()
    told = json.loads(sys.argv[1])
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(told["processes"])
    queue = context.SimpleQueue()
    children = [
        context.Process(
            target=_run,
            args=(
                number,
                told["releases"][number % len(told["releases"])],
                told["options"],
                barrier,
                queue,
            ),
        )
        for number in range(told["processes"])
    ]
    for child in children:
        child.start()
    reports = dict(queue.get() for _ in children)
    for child in children:
        child.join()
    print(json.dumps([reports[number] for number in range(told["processes"])]))


def _run(
    number: int, release: list[Any], options: dict[str, Any], barrier: Any, queue: Any
) -> None:
    from django.apps import apps

    from django_rediscron import register
    from django_rediscron.sync import sync
    from tests.tasks import echo

    apps.ready = False
    for schedule in release:
        register(**{"func": echo, "queue_name": "default", **schedule})
    apps.ready = True
    try:
        barrier.wait(timeout=60)
        queue.put((number, sync("default", **options).to_dict()))
    except BaseException as error:
        queue.put((number, {"error": repr(error)}))
        os._exit(1)


if __name__ == "__main__":
    main()
