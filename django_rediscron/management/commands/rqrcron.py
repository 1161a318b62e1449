"""The verbs of `rqrcron` on a connection of `RQ_QUEUES`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis import Redis

from django_rediscron.checks import SETTINGS
from django_rediscron.cli import main
from django_rediscron.cli.rq_options import RQ_OPTIONS
from django_rediscron.cli.verb import ConnectionOptions
from django_rediscron.conf import conf
from django_rediscron.core import UnknownQueueError
from django_rediscron.queues import get_connection, queues_beside, servers
from django_rediscron.terminal import printing

QUEUE = click.Option(
    ["--queue"],
    metavar="NAME",
    help="The queue in RQ_QUEUES whose Redis is used (default: the setting QUEUE).",
)


class Command(BaseCommand):
    help = "Show, explain and operate the recurring jobs of RQ that are kept in Redis."
    requires_system_checks = (SETTINGS,)

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        options |= {"add_help": False, "allow_abbrev": False}
        parser = super().create_parser(prog_name, subcommand, **options)
        self.program = parser.prog.replace("__main__.py", "python -m django")
        # Django takes its own options wherever they stand, and click all else.
        parser.parse_args = partial(_take_djangos, parser)  # type: ignore[method-assign,assignment]
        return parser

    def handle(self, *args: str, **options: Any) -> None:
        stdout = options.get("stdout") or sys.stdout
        status = None
        try:
            with redirect_stdout(stdout), printing():
                status = main(
                    args or ["--help"],
                    self.program,
                    standalone_mode=False,
                    obj=ConnectionOptions(
                        [QUEUE],
                        _connect,
                        queues=queues_beside,
                        application=conf.APPLICATION,
                        metrics_schedules=conf.METRICS_SCHEDULES,
                        servers=servers,
                    ),
                )
        except click.ClickException as error:
            raise CommandError(_told(error), returncode=error.exit_code) from None
        except click.Abort:
            status = 130
        except OSError as error:
            raise CommandError(f"cannot write the output: {error.strerror}") from None
        if status:
            sys.exit(status)


def _take_djangos(
    parser: ArgumentParser, args: Sequence[str] | None = None, namespace: Namespace | None = None
) -> Namespace:
    found, rest = parser.parse_known_args(args, namespace)
    found.args = rest
    return found


def _connect(given: Mapping[str, Any]) -> Redis:
    try:
        return get_connection(given["queue"] or conf.QUEUE)
    except UnknownQueueError as error:
        raise click.BadParameter(str(error), param=QUEUE) from None


def _told(error: click.ClickException) -> str:
    """What click prints on three lines, on one."""
    message = error.format_message().rstrip(".")
    if isinstance(error, click.NoSuchOption) and error.option_name in _names(RQ_OPTIONS):
        return f"{message}; Redis is configured in RQ_QUEUES: choose a queue with --queue NAME"
    if isinstance(error, click.UsageError) and error.ctx:
        return f"{message}; try '{error.ctx.command_path} --help'"
    return message


def _names(options: ConnectionOptions) -> frozenset[str]:
    return frozenset(name for param in options.params for name in param.opts)
