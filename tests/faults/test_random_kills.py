"""Schedulers that are killed at any time, while schedules run every second.

Seen to fail with the new times and the place in the index taken out of the dispatch script and
written by a command of their own behind it: jobs were enqueued whose times were never written.
"""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob
from tests import tasks
from tests.processes import wait_until

from .victims import Victim, lead_when_free
from .witness import Witness, witness
from .world import assert_jobs_agree, read_hashes

KILLS = 200
SCHEDULES = 40
LATE = 3.0
"""Seconds that a pass may take on a busy machine. What is lost stays so for longer."""


@pytest.mark.slow
def test_killed_at_random_200_times(connection: Redis, redis_url: str) -> None:
    """One leads and one waits; either is killed, and another one started in its place."""
    seed = int(os.environ.get("REDISCRON_SEED") or random.randrange(1 << 32))
    print(f"REDISCRON_SEED={seed}")
    chance = random.Random(seed)
    start = datetime.now(timezone.utc)
    for number in range(SCHEDULES):
        due = start + timedelta(seconds=number / SCHEDULES)
        RedisCronJob(
            f"s{number}", "metrics", tasks.echo, interval=1, next_enqueue_time=due,
            connection=connection,
        ).save()  # fmt: skip

    def begin(number: int) -> Victim:
        return Victim(lead_when_free, redis_url, name=f"v{number % 2}", lock_ttl=0.1).start()

    with witness(connection) as seen:
        living = [begin(0), begin(1)]
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.01, 0.13))
            chosen = chance.randrange(2)
            living[chosen].send(signal.SIGKILL)
            living[chosen] = begin(chosen)
        moment = time.time()
        wait_until(lambda: len(seen.times) == SCHEDULES)
        wait_until(lambda: all(times[-1] > moment for times in seen.times.values()))
        for victim in living:
            victim.send(signal.SIGKILL)
    assert_once_each(seen)
    assert_jobs_agree(connection, read_hashes(connection))
    queued = {id.decode() for id in connection.lrange("rq:queue:metrics", 0, -1)}
    assert queued == {job for jobs in seen.jobs.values() for job in jobs}
    print(f"{len(queued)} occurrences in {time.time() - start.timestamp():.0f} s")


def assert_once_each(seen: Witness) -> None:
    """No occurrence twice; none lost but what was due while nobody enqueued anything."""
    assert len(seen.pushed) == len(set(seen.pushed))
    passes = sorted(moment for moments in seen.entered.values() for moment in moments)
    for id, times in seen.times.items():
        assert len(times) == len(seen.jobs[id]), f"{id}: a job for every change of the times"
        for earlier, later in pairwise(times):
            assert later - earlier == pytest.approx(max(1, round(later - earlier)), abs=1e-5), id
        for nominal, moment in zip(times, seen.entered[id], strict=True):
            assert 0 <= moment - nominal < 1 + LATE, f"{id}: {nominal} enqueued at {moment}"
        for nominal, moment in zip(times, seen.entered[id][1:], strict=False):
            # Whoever enqueued anything after this was due again had to enqueue this, too.
            others = [m for m in passes if nominal + 1 + LATE < m < moment]
            assert not others, (
                f"{id}: due at {nominal + 1}, passed over at {others} before {moment}"
            )
