"""`rqrcron metrics`: what Prometheus scrapes, on stdout."""

from __future__ import annotations

import json
from typing import Any

import click
from redis import Redis

from ...core.monitoring.exposition import Family, openmetrics, text
from ...core.monitoring.measurements import read_metrics
from ..options import json_option
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
@json_option
@click.pass_obj
def metrics(
    chosen: ConnectionOptions,
    connection: Redis,
    schedules: int | None,
    as_openmetrics: bool,
    as_json: bool,
) -> None:
    """Print metrics in the text format of Prometheus.

    All is read from Redis now. A file for the textfile collector of node_exporter is made like
    this: write to a temporary file beside it, then rename that.

    With --json, "metrics" holds an object for each metric with name, type, help and samples, which
    are objects with name, labels (an object) and value.

    Exit status: 0; 1 when Redis cannot be used; 2 for wrong usage; 130 after Ctrl-C.
    """
    found = read_metrics(connection, chosen.metrics_schedules if schedules is None else schedules)
    if as_json:
        click.echo(json.dumps({"metrics": [_facts(family) for family in found]}))
        return
    click.echo((openmetrics if as_openmetrics else text)(found), nl=False)


def _facts(family: Family) -> dict[str, Any]:
    samples = [
        {"name": name, "labels": dict(labels), "value": value}
        for name, labels, value in family.samples
    ]
    return {"name": family.name, "type": family.kind, "help": family.help, "samples": samples}
