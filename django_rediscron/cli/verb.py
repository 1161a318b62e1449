"""How a verb of `rqrcron` runs: with a connection to Redis, and with errors told in one line."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from redis import Redis

from ..core.exceptions import (
    DamagedScheduleError,
    InvalidScheduleError,
    NoSuchJobError,
    ScheduleChangedError,
    UnknownQueueError,
)
from ..core.monitoring.measurements import SCHEDULES
from ..core.store.actors import acting_as, actor_text
from ..core.store.servers import Server
from ..terminal import one_line, printing
from ..unreachable import UnreachableError, address, reaching

REFUSALS = (DamagedScheduleError, InvalidScheduleError, NoSuchJobError, ScheduleChangedError)
"""What a verb may raise for its user: the text says all."""


_ASKED = f"{__name__}.asked"
"""Key in the context of click: which Redis was asked, if the user named none."""


@dataclass(frozen=True)
class ConnectionOptions:
    """The options of every verb that choose the Redis; `rqrcron` and a project have their own."""

    params: Sequence[click.Parameter]
    connect: Callable[[Mapping[str, Any]], Redis]
    """The connection for these values of `params`; raises `click.ClickException`."""
    remedy: Callable[[Mapping[str, Any]], str] = lambda given: ""
    """What follows in the message if that Redis cannot be reached, or has nothing; "" if the user
    has named it."""
    queues: Callable[[Redis], Iterable[str]] = lambda connection: ()
    """Queues of this Redis that exist beside those that RQ has seen."""
    application: str | None = None
    """Whose declared schedules count in `health`; None for those of all projects."""
    metrics_schedules: int = SCHEDULES
    """Schedules up to which `metrics` tells of each."""
    servers: Callable[[], Sequence[Server]] | None = None
    """All servers of the project, for `--all`; None if there is no such option."""


ALL = click.Option(
    ["--all", "every"], is_flag=True, help="Ask every Redis of RQ_QUEUES, each for itself."
)


class Verb(click.Command):
    """A command that takes the connection options, and whose function gets `connection=`.

    A verb that has an option of the same name as one of these stands for both: schedules of a
    `--queue` are looked for in the Redis of that queue. With `ping`, Redis has answered once. With
    `several`, the function also gets `servers=`: those to ask if `--all` is given, else none. What
    goes wrong on the way to Redis, or to stdout, is one line on stderr and status 1; a reader of a
    pipe that goes away is no error. What it changes is logged as done by the user of the system.
    """

    def __init__(
        self, *args: Any, ping: bool = True, several: bool = False, **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self.ping = ping
        self.several = several

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        count = len(self.params)
        own = super().get_params(ctx)  # the last one is --help
        return [*own[:count], *self._others(ctx.obj), *own[count:]]

    def _others(self, options: ConnectionOptions) -> list[click.Parameter]:
        names = {param.name for param in self.params}
        every = [ALL] if self.several and options.servers is not None else []
        return [*(param for param in options.params if param.name not in names), *every]

    def invoke(self, ctx: click.Context) -> Any:
        options: ConnectionOptions = ctx.obj
        chosen = {str(param.name): ctx.params[str(param.name)] for param in options.params}
        servers = _every_server(ctx, options, chosen)
        for param in self._others(options):
            del ctx.params[str(param.name)]
        if self.several:
            ctx.params["servers"] = servers
        try:
            connection = options.connect(chosen)
            if self.ping and not servers:
                with reaching(connection):
                    connection.ping()
            ctx.params["connection"] = connection
            if remedy := options.remedy(chosen):
                ctx.meta[_ASKED] = f"{address(connection)} was asked{remedy}"
            with printing(), reaching(connection), acting_as(command_line_actor()):
                return super().invoke(ctx)
        except UnreachableError as error:
            raise click.ClickException(f"{error}{options.remedy(chosen)}") from None
        except (NoSuchJobError, UnknownQueueError) as error:
            asked = f"; {ctx.meta[_ASKED]}" if _ASKED in ctx.meta else ""
            raise click.ClickException(f"{one_line(str(error))}{asked}") from None
        except REFUSALS as error:
            raise click.ClickException(one_line(str(error))) from None
        except OSError as error:
            raise click.ClickException(f"cannot write the output: {error.strerror}") from None
        except KeyboardInterrupt:
            sys.exit(130)


def _every_server(
    ctx: click.Context, options: ConnectionOptions, chosen: Mapping[str, Any]
) -> Sequence[Server]:
    """Those that `--all` stands for; none without it."""
    if not ctx.params.get(str(ALL.name)) or options.servers is None:
        return ()
    if any(chosen.values()):
        raise click.UsageError("--all asks every server; leave out --queue")
    return options.servers()


def command_line_actor() -> str:
    """`cli:USER@HOST`: who gives a command in a terminal."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # as in containers: the user has no name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return actor_text(f"cli:{user}@{socket.gethostname()}")


def tell_server() -> None:
    """After nothing was found: say on stderr which Redis was asked, if the user named none."""
    asked = click.get_current_context().meta.get(_ASKED)
    if asked:
        click.echo(asked, err=True)
