"""The connection options of RQ's own commands: `--url`, `--config`, ..."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import click
from redis import Redis
from rq.cli.helpers import CliConfig, pass_cli_config, read_config_file

from ..core.quoting import quoted
from ..core.store.connections import check_url, hide_passwords
from ..terminal import one_line
from .verb import ConnectionOptions


@click.command()
@pass_cli_config  # type: ignore[untyped-decorator]
def _with_rqs_options() -> None:
    """Never called: it shows which options RQ has."""


def _connect(given: Mapping[str, Any]) -> Redis:
    config = _configured(given)
    try:
        _check_address(given)
        connection: Redis = config.connection
        pool = connection.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # knows what options there are
    except Exception as error:  # the settings may be a module, which is anybody's code
        raise click.ClickException(f"{_source(given)}: {_reason(error)}") from None
    return connection


def _configured(given: Mapping[str, Any]) -> CliConfig:
    try:
        return CliConfig(**given)
    except ValueError as error:
        # RQ reports a class that it cannot import, but not a name without a dot.
        if str(error).startswith("Invalid attribute name"):
            raise click.UsageError(f"{error}; give a class by its dotted name") from None
        raise


def _check_address(given: Mapping[str, Any]) -> None:
    """Raise ValueError if RQ would take a part of the password for the host."""
    url = given["url"]
    if not url:
        read: Callable[[str], Mapping[str, Any]] = read_config_file
        url = (read(given["config"]) if given["config"] else os.environ).get("REDIS_URL")
    if isinstance(url, str):
        check_url(url)


def _source(given: Mapping[str, Any]) -> str:
    if given["url"]:
        return "cannot use the Redis address given with --url"
    if given["config"]:
        return f"cannot use the settings module {quoted(given['config'])} given with --config"
    return "cannot use the Redis settings in the environment (REDIS_URL, REDIS_HOST, ...)"


def _reason(error: Exception) -> str:
    text = one_line(str(error))
    if isinstance(error, ValueError):
        # urllib quotes the wrong part of an address, which may be a piece of the password.
        return re.sub(r"'[^']*'", "'...'", text)
    return hide_passwords(f"{type(error).__name__}: {text}")


def _remedy(given: Mapping[str, Any]) -> str:
    named = given["url"] or given["config"]
    return "" if named else "; use --url to name another server"


RQ_OPTIONS = ConnectionOptions(_with_rqs_options.params, _connect, _remedy)
