"""`rqrcron reindex`: the indexes, repaired."""

from __future__ import annotations

import json
from contextlib import suppress

import click
from redis import Redis
from redis.exceptions import NoPermissionError

from ...core.store.listing import SCANNED
from ...core.store.listing import reindex as rebuild_indexes
from ...terminal import progress
from ..options import json_option
from ..verb import Verb, tell_server


@click.command(cls=Verb)
@json_option
def reindex(connection: Redis, as_json: bool) -> None:
    """Repair the index of schedules.

    Schedules that are missing from it, or stand too late in it, are put back, and entries that do
    not belong there are removed. A scheduler does the same when it starts.

    With --json, "schedules" is how many there are, "restored" how many were put back, and "pruned"
    how many entries were removed.

    Exit status: 0; 1 when Redis cannot be used; 2 for wrong usage; 130 after Ctrl-C.
    """
    with progress(_steps(connection)) as advance:
        report = rebuild_indexes(connection, advance)
    if as_json:
        facts = {name: getattr(report, name) for name in ("schedules", "restored", "pruned")}
        click.echo(json.dumps(facts))
        return
    click.echo(
        f"{report.schedules} schedules: {report.restored} put back into the index, "
        f"{report.pruned} stale entries removed"
    )
    if not report.schedules:
        tell_server()


def _steps(connection: Redis) -> int:
    """About how many there are: most of the time goes into a scan of all keys."""
    with suppress(NoPermissionError):
        return int(connection.dbsize()) // SCANNED + 1  # type: ignore[arg-type,unused-ignore]
    return 1
