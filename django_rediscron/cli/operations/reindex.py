"""`rqrcron reindex`: the indexes, repaired."""

from __future__ import annotations

import click
from redis import Redis

from ...core.store.listing import reindex as rebuild_indexes
from ..verb import Verb


@click.command(cls=Verb)
def reindex(connection: Redis) -> None:
    """Repair the index of schedules.

    Schedules that are missing from it, or stand too late in it, are put back, and entries that do
    not belong there are removed. A scheduler does the same when it starts.
    """
    report = rebuild_indexes(connection)
    click.echo(
        f"{report.schedules} schedules: {report.restored} put back into the index, "
        f"{report.pruned} stale entries removed"
    )
