"""The `rqrcron` console script. It takes RQ's own connection options and needs no Django."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import add_completion_class

from .._version import __version__
from ..terminal import take_any_text
from .completion import VARIABLE, Bash
from .files import export, import_
from .listing.info import info
from .migrate import migrate
from .monitoring.health import health
from .monitoring.metrics import metrics
from .operations.backfill import backfill
from .operations.deleting import delete
from .operations.editing import edit
from .operations.enabling import disable, enable
from .operations.pausing import pause, resume
from .operations.reindex import reindex
from .operations.running import run
from .rq_options import RQ_OPTIONS
from .story.changes import changes, revert
from .story.history import history
from .story.next_runs import next_runs
from .story.schedule_page import show
from .story.why import why
from .verb import Verb


class Verbs(click.Group):
    """Verbs with RQ's connection options, unless a project calls it with its own as `obj`."""

    command_class = Verb

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        if VARIABLE in os.environ:  # a shell asks what may follow
            add_completion_class(Bash, "bash")
            prog_name, extra["complete_var"] = "rqrcron", VARIABLE
        return super().main(args, prog_name, *rest, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        extra.setdefault("obj", RQ_OPTIONS)
        return super().make_context(*args, **extra)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rqrcron")
def main() -> None:
    """Show, explain and operate the recurring jobs of RQ that are kept in Redis."""
    take_any_text()


for verb in (
    *(info, show, history, why, changes, next_runs, health, metrics),
    *(enable, disable, pause, resume, run, edit, backfill, delete, revert),
    *(export, import_, migrate, reindex),
):
    main.add_command(verb)
