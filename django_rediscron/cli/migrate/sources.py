"""The systems of which schedules can be moved here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ...core.dotted_names import is_dotted_name
from ...core.quoting import quoted
from ...migrating import crontab, rq_cron, rq_scheduler, tasks_scheduler
from ...migrating.celery import celery_beat, django_celery_beat
from ...migrating.found import Found


@dataclass(frozen=True)
class Source:
    """Another system."""

    name: str
    read: Callable[..., Sequence[Found]]
    """Called with the connection, the `Maps`, and `params` by name. Raises `CannotReadError`."""
    help: str
    """Its first line: what is moved. Then what is to be known of this source."""
    params: Sequence[click.Parameter] = ()
    """What else it takes. No option may be named as those of all sources."""


def _function(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_dotted_name(value):
        raise click.BadParameter(f"must be the dotted name of a function, got {quoted(value)}")
    return value


_timezone = click.Option(
    ["--timezone"],
    metavar="NAME",
    help="The local zone of the process that ran them, such as Europe/Paris (default: of this).",
)

_default_queue = click.Option(
    ["--default-queue"],
    default="default",
    show_default=True,
    metavar="NAME",
    help="The queue of tasks for which Celery has no other than its default queue.",
)

_zone = click.Option(
    ["--timezone"],
    metavar="ZONE",
    help="The zone of cron expressions (default: UTC, or TIME_ZONE if USE_TZ is off).",
)
_export = click.Argument(["file"], type=click.Path(path_type=Path), required=False)
_TASKS_SCHEDULER = """Move the tasks of {0}.

Without a FILE its tables are read, which needs the project: manage.py rqrcron migrate {0}.
FILE is what its command "export" wrote, JSON or YAML.
"""

SOURCES = (
    Source(
        "rq-scheduler",
        rq_scheduler.read,
        """Move the jobs of rq-scheduler: cron strings, intervals, and jobs for a single time.

        They are read from the Redis that is chosen as for every verb. Their arguments are unpickled
        as RQ's workers do. rq-scheduler reads cron strings in the local time of its process, see
        --timezone; here the zone is part of the schedule.
        """,
        [_timezone],
    ),
    Source(
        "rq-cron",
        rq_cron.read,
        """Move what a configuration file of RQ's own cron registers.

        FILE is what "rq cron" is given: a path, or the dotted name of a module. It is Python, and
        is run as RQ runs it. RQ reads cron expressions in the local time of its process, see
        --timezone; here the zone is part of the schedule.
        """,
        [click.Argument(["file"]), _timezone],
    ),
    Source(
        "celery",
        celery_beat.read,
        """Move what the beat_schedule of a Celery app has.

        APP is what "celery -A" is given, such as project or project.celery:app, or the dotted name
        of a module with the configuration, or of a beat_schedule in one. Each task becomes the
        function behind it; see --map for those that are bound or not functions.
        """,
        [click.Argument(["app"]), _default_queue],
    ),
    Source(
        "django-celery-beat",
        django_celery_beat.read,
        """Move the periodic tasks of django-celery-beat.

        It needs the project: manage.py rqrcron migrate django-celery-beat. Each task becomes the
        function behind it; see --map for those that are bound or not functions.
        """,
        [_default_queue],
    ),
    *(
        Source(name, tasks_scheduler.read, _TASKS_SCHEDULER.format(name), [_export, _zone])
        for name in ("django-tasks-scheduler", "django-rq-scheduler")
    ),
    Source(
        "crontab",
        crontab.read,
        """Move the lines of a crontab.

        FILE is what "crontab -l" prints; - is standard input. Each command line becomes the
        argument of the function that --command names, with the variables as env= and what follows
        a % sign as input=. The same as with cron, runs have no time limit.
        """,
        [
            click.Argument(["file"], type=click.File(encoding="utf-8")),
            click.Option(
                ["--command"],
                callback=_function,
                metavar="FUNCTION",
                help="Dotted name of the function that runs command lines.",
            ),
            click.Option(["--queue"], metavar="NAME", help="Their queue (default: default)."),
            click.Option(
                ["--system"],
                is_flag=True,
                help="A user stands before each command (always in /etc/crontab and /etc/cron.d).",
            ),
            _timezone,
        ],
    ),
)
