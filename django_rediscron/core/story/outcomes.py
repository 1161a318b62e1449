"""How the runs of schedules ended: latest times, failures in a row, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from redis import Redis

from ..schedule.texts import lossy_text
from ..store.connections import bytes_client
from ..store.keys import outcomes_key
from .in_flight import ENDED, time_or_none

COUNTED = (*ENDED, "unknown")
"""How a run can end."""


@dataclass(frozen=True)
class Outcomes:
    """How the runs of a schedule ended, as far back as its story goes."""

    last_success: datetime | None = None
    last_failure: datetime | None = None
    failures: int = 0
    """Failures in a row since the last success; attempts that are repeated do not count."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Runs by how they ended: `finished`, `failed`, `stopped`, `canceled`, `unknown`."""


def read_outcomes(ids: Sequence[str], connection: Redis) -> dict[str, Outcomes]:
    """How the runs of these schedules ended, in one round trip."""
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.hgetall(outcomes_key(id))
        replies = pipe.execute(raise_on_error=False)
    return {id: _outcomes(reply) for id, reply in zip(ids, replies, strict=True)}


def _outcomes(reply: dict[bytes, bytes] | Exception) -> Outcomes:
    if isinstance(reply, Exception):  # the key is of another type
        return Outcomes()
    known = {name.decode(errors="replace"): lossy_text(value) for name, value in reply.items()}
    counts = {name: int(known[name]) for name in COUNTED if known.get(name, "").isdigit()}
    failures = known.get("failures", "")
    return Outcomes(
        time_or_none(known.get("last_success", "")),
        time_or_none(known.get("last_failure", "")),
        int(failures) if failures.isdigit() else 0,
        counts,
    )
