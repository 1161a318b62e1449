"""`rqrcron metrics`: what Prometheus scrapes, on stdout."""

from __future__ import annotations

import click
from redis import Redis

from ...core.monitoring.exposition import openmetrics, text
from ...core.monitoring.measurements import read_metrics
from ..verb import ConnectionOptions, Verb


@click.command(cls=Verb)
@click.option(
    "--schedules",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Leave the label schedule out if there are more schedules (default: 1000, or the setting "
    "METRICS_SCHEDULES).",
)
@click.option("--openmetrics", "as_openmetrics", is_flag=True, help="Print OpenMetrics.")
@click.pass_obj
def metrics(
    chosen: ConnectionOptions, connection: Redis, schedules: int | None, as_openmetrics: bool
) -> None:
    """Print metrics in the text format of Prometheus.

    All is read from Redis now. A file for the textfile collector of node_exporter is made like
    this: write to a temporary file beside it, then rename that.

    Exit status: 0; 1 when Redis cannot be used; 2 for wrong usage; 130 after Ctrl-C.
    """
    found = read_metrics(connection, chosen.metrics_schedules if schedules is None else schedules)
    click.echo((openmetrics if as_openmetrics else text)(found), nl=False)
