"""The listing of several servers, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from redis import Redis

from ...core.store import Listing
from ...core.store.connections import own_client
from ...core.store.servers import Server, read_each
from ...terminal import one_line
from .as_json import to_json
from .table import render


def show_each(
    servers: Sequence[Server],
    reader: Callable[[Redis], Callable[[], Listing]],
    *,
    by_queue: bool,
    as_json: bool,
    write: Callable[[str], object],
) -> bool:
    """Print the listing of each server below its name. Whether all could be read.

    In JSON, `servers` holds what `to_json` says of each, with its name as `server`; of one that
    cannot be read, `error` says why.
    """
    # A client of the project's may wait for a server that hangs for ever.
    found = read_each(servers, lambda connection: reader(own_client(connection))())
    if as_json:
        facts = [_facts(server.name, listing) for server, listing in found]
        write(f'{{"servers": [{", ".join(facts)}]}}')
    else:
        parts = (
            f"Server {server.name}\n"
            + (
                one_line(str(listing))
                if isinstance(listing, Exception)
                else render(listing, by_queue=by_queue)
            )
            for server, listing in found
        )
        write("\n\n".join(parts))
    return not any(isinstance(listing, Exception) for _, listing in found)


def _facts(name: str, listing: Listing | Exception) -> str:
    if isinstance(listing, Exception):
        return json.dumps({"server": name, "error": one_line(str(listing))})
    return f'{{"server": {json.dumps(name)}, {to_json(listing)[1:]}'
