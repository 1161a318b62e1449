"""`rqrcron metrics`: what Prometheus scrapes, on stdout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from redis import Redis

from ...core.monitoring.exposition import Family, openmetrics, text
from ...core.monitoring.measurements import read_metrics, read_metrics_of_each
from ...core.store.servers import Server
from ..options import json_option
from ..verb import ConnectionOptions, Verb


@click.command(cls=Verb, several=True)
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
    servers: Sequence[Server],
    schedules: int | None,
    as_openmetrics: bool,
    as_json: bool,
) -> None:
    """Print metrics in the text format of Prometheus.

    All is read from Redis now. A file for the textfile collector of node_exporter is made like
    this: write to a temporary file beside it, then rename that.

    With --json, "metrics" holds an object for each metric with name, type, help and samples, which
    are objects with name, labels (an object) and value.

    With --all, which `manage.py rqrcron` has, metrics have the label server; of one that cannot be
    read there is rediscron_up, 0.

    Exit status: 0; 1 when Redis cannot be used; 2 for wrong usage; 130 after Ctrl-C.
    """
    limit = chosen.metrics_schedules if schedules is None else schedules
    found = read_metrics_of_each(servers, limit) if servers else read_metrics(connection, limit)
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
