"""This package, where a project declares the schedules."""

import sys

import django
from django.apps import apps
from django.conf import settings
from jobs import work
from program import INTERVAL, QUEUE, Meter, main, seed


def first(connection, count):
    return _measured(connection, count, created=count)


def unchanged(connection, count):
    seed("first")
    return _measured(connection, count, unchanged=count)


def changed(connection, count):
    seed("first")
    return _measured(connection, count, interval=2 * INTERVAL, updated=count)


def _measured(connection, count, interval=INTERVAL, **expected):
    """Measure a sync, without the start of the process and what its ready hooks do."""
    from django_rediscron import register
    from django_rediscron.sync import declarations as declared
    from django_rediscron.sync import sync

    apps.ready = False
    declared._declared.clear()
    for i in range(count):
        register(work, QUEUE, f"job:{i}", args=(i,), interval=interval)
    apps.ready = True
    with Meter(connection) as meter:
        report = sync(QUEUE)
    ((word, number),) = expected.items()
    found = getattr(report, word)
    found = found if word == "unchanged" else len(found)
    if found != number:
        sys.exit(f"{sys.argv[0]} {sys.argv[1]}: {found} {word} instead of {number}")
    return meter.result


settings.configure(
    INSTALLED_APPS=["django_rq", "django_rediscron"], RQ_QUEUES={QUEUE: {"URL": sys.argv[2]}}
)
django.setup()
main(first, unchanged, changed)
