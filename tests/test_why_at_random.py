"""Days at random: no answer to why a schedule did not run contradicts what was done."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron import Answer, RedisCronJob, RedisCronScheduler
from django_rediscron.core.schedule.texts import parse_time
from django_rediscron.core.store.keys import LOCK, job_key
from django_rediscron.core.story.following import Following
from django_rediscron.core.story.why.asked import meant
from django_rediscron.core.story.why.asking import gather
from django_rediscron.core.story.why.verdicts import judge
from django_rediscron.core.timing.cron_times import occurrence_delay, utc_text
from tests import tasks
from tests.clock import Clock, set_clock

UTC = timezone.utc
MIDNIGHT = datetime(2026, 3, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MINUTES = 60
SEEDS = int(os.environ.get("WHY_SEEDS", "12"))
FIRST_SEED = int(os.environ.get("WHY_FIRST_SEED", "0"))
ID = "report"


class World:
    """One schedule that is due every N minutes, and a scheduler that comes and goes."""

    def __init__(self, seed: int, connection: Redis, clock: Clock) -> None:
        self.random = random.Random(seed)
        self.connection = connection
        self.clock = clock
        self.leader: RedisCronScheduler | None = None
        self.leaders = 0
        self.ran: set[datetime] = set()
        self.seen: set[bytes] = set()
        self.jitters: list[tuple[datetime, float]] = []
        self.passed_at: list[datetime] = []
        self.kind = self.random.choice(["cron", "cron", "interval", "rhythm"])
        self.keep_runs = self.random.choice([100, 100, 100, 3, 0])
        if self.kind == "rhythm":
            self.keep_runs = 100  # only its runs tell when it is due
        self.ends = False
        self.hidden_since: list[datetime] = []  # disabled, which nobody need have noticed
        # What was so from a moment on: (moment, N or 0 for no schedule, enabled, led, broken)
        self.facts: list[tuple[datetime, int, bool, bool, bool]] = []
        self.told: list[str] = []
        self.state: dict[str, Any] = {"step": 0, "enabled": True, "broken": False}

    def tell(self, what: str) -> None:
        self.told.append(f"{self.clock.time:%H:%M:%S} {what}")
        state = self.state
        self.facts.append(
            (
                self.clock.time,
                state["step"],
                state["enabled"],
                self.leader is not None,
                state["broken"],
            )
        )

    def create(self) -> None:
        step = self.random.choice([1, 1, 2, 3])
        options: dict[str, Any] = {
            "catch_up": self.random.choice(["latest", "latest", "all", "skip"]),
            "catch_up_limit": self.random.choice([2, 5, 100]),
            "overlap": self.random.choice(["allow", "allow", "skip", "queue_one"]),
        }
        if self.random.random() < 0.3:
            options["misfire_grace"] = self.random.choice([5, 90, 400])
        if self.random.random() < 0.2:
            options["jitter"] = self.random.choice([20, 100])
        self.jitters.append((self.clock.time, options.get("jitter", 0.0)))
        enabled = self.random.random() < 0.9
        RedisCronScheduler(self.connection).register(
            tasks.echo, "metrics", id=ID, enabled=enabled, **self.timing(step), **options,
        )  # fmt: skip
        self.state.update(step=step, enabled=enabled, broken=False)
        self.tell(f"created */{step} {options} enabled={enabled}")

    def timing(self, step: int) -> dict[str, Any]:
        if self.kind == "rhythm":  # of its own: it begins when it is created or changed
            return {"interval": 60 * step}
        if self.kind == "interval":
            return {"interval": 60 * step, "start_at": MIDNIGHT}
        return {"cron": f"*/{step} * * * *", "timezone": "UTC"}

    def live(self) -> None:
        """Half a minute after the other, something happens, or nothing."""
        self.create()
        events = [
            self.passes, self.passes, self.passes, self.passes, self.passes, self.passes,
            self.passes, self.passes, self.lead, self.lead, self.stop, self.die, self.switch,
            self.retime, self.edit, self.delete, self.break_it, self.mend, self.end_jobs,
            self.end_jobs, self.limit, self.pipeline, self.outside,
            self.follow, self.follow, self.expire, self.disable_outside,
        ]  # fmt: skip
        self.lead()
        while self.clock.time < MIDNIGHT + MINUTES * MINUTE:
            for _ in range(self.random.choice([1, 1, 2])):
                self.random.choice(events)()
                self.clock.advance(timedelta(seconds=self.random.randint(0, 3)))
            self.clock.advance(timedelta(seconds=self.random.choice([5, 20, 30, 30, 55, 60, 200])))

    def passes(self) -> None:
        if self.leader is None:
            return
        self.leader.enqueue_jobs()
        self.passed_at.append(self.clock.time)
        for job_id in self.connection.lrange("rq:queue:metrics", 0, -1):
            if job_id not in self.seen:
                self.seen.add(job_id)
                text = self.connection.hget(b"rq:job:" + job_id, "occurrence")
                self.ran.add(parse_time(text.decode()))
        self.tell("pass")

    def lead(self) -> None:
        if self.leader is None:
            self.leaders += 1
            self.leader = RedisCronScheduler(
                self.connection,
                name=f"leader {self.leaders}",
                lock_ttl=3600,
                keep_runs=self.keep_runs,
            )
            self.leader.register_birth()
            self.tell("leads")

    def stop(self) -> None:
        if self.leader is not None:
            self.leader.register_death()
            self.leader = None
            self.tell("stopped")

    def die(self) -> None:
        if self.leader is not None:
            self.leader.heartbeat()
            self.connection.delete("rq:cron_jobs:lock")
            self.leader = None
            self.tell("died")

    def job(self) -> RedisCronJob | None:
        return RedisCronJob.fetch(ID, self.connection) if self.state["step"] else None

    def switch(self) -> None:
        job = self.job()
        if job is not None:
            enabled = not job.enabled
            self.state["enabled"] = enabled
            if self.random.random() < 0.5:
                (job.enable if enabled else job.disable)()
            else:
                job.enabled = enabled
                job.save()
            self.tell(f"enabled={enabled}")

    def retime(self) -> None:
        job = self.job()
        if job is not None:
            step = self.random.choice([1, 2, 3])
            for name, value in self.timing(step).items():
                setattr(job, name, value)
            job.save()
            self.state["step"] = step
            self.tell(f"every {step} minutes")

    def edit(self) -> None:
        job = self.job()
        if job is not None:
            job.kwargs = {"number": self.random.random()}
            job.save()
            self.tell("kwargs")

    def delete(self) -> None:
        job = self.job()
        if job is not None and self.random.random() < 0.3:
            job.delete()
            self.state.update(step=0, broken=False)
            self.tell("deleted")
        elif job is None:
            self.create()

    def limit(self) -> None:
        job = self.job()
        if job is not None:
            self.ends = True
            if self.random.random() < 0.5:
                job.max_runs = self.random.choice([None, 1, 3, 10])
            else:
                minutes = self.random.choice([2, 5, 10])
                job.end_at = self.random.choice([None, self.clock.time + minutes * MINUTE])
            job.save()
            self.tell(f"max_runs={job.max_runs} end_at={job.end_at}")

    def pipeline(self) -> None:
        job = self.job()
        if job is not None:
            with self.connection.pipeline() as pipe:
                job.enabled = True
                job.kwargs = {"number": self.random.random()}
                job.save(pipe)
                pipe.execute()
            self.state["enabled"] = True
            self.tell("enabled=True in a pipeline")

    def outside(self) -> None:
        """As `redis-cli` would do it."""
        if self.state["step"]:
            self.connection.hset(job_key(ID), "queue_name", "metrics")
            self.connection.hset(job_key(ID), "description", str(self.random.random()))
            self.tell("description, by redis-cli")

    def disable_outside(self) -> None:
        """So does `redis-cli`; the scheduler notices it at one of its next passes."""
        if self.state["step"]:
            self.connection.hset(job_key(ID), "enabled", 0)
            self.state["enabled"] = False
            self.tell("enabled=False, by redis-cli")
            self.hidden_since.append(self.clock.time)

    def break_it(self) -> None:
        if self.state["step"]:
            self.connection.hset(job_key(ID), "func_name", "tests.tasks.gone")
            self.state["broken"] = True
            self.tell("broken")

    def mend(self) -> None:
        if self.state["step"]:
            self.connection.hset(job_key(ID), "func_name", "tests.tasks.echo")
            self.state["broken"] = False
            self.tell("mended")

    def end_jobs(self) -> None:
        for job_id in self.connection.lrange("rq:queue:metrics", 0, -1):
            text = utc_text(self.clock.time)
            fields = {"status": "finished", "started_at": text, "ended_at": text}
            self.connection.hset(b"rq:job:" + job_id, mapping=fields)
        self.connection.delete("rq:queue:metrics")
        self.tell("jobs have ended")

    def follow(self) -> None:
        if self.leader is not None:
            token = self.connection.get(LOCK)
            assert token is not None
            Following(self.connection, self.keep_runs).sweep(token.decode())
            self.tell("followed")

    def expire(self) -> None:
        """Results of RQ expire."""
        for key in self.connection.keys("rq:job:*"):
            if self.connection.hget(key, "status") == b"finished":
                self.connection.delete(key)
        self.tell("results have expired")

    # What must be so

    def read_skips(self) -> None:
        """What `get_skips` says, minute by minute."""
        job = RedisCronJob(ID, "metrics", tasks.echo, interval=60)
        self.skips: dict[datetime, str] = {}
        for skip in job.get_skips(self.connection):
            time = skip.occurrence
            while time <= skip.until:
                self.skips[time] = skip.reason
                time += MINUTE

    def before(self, time: datetime) -> tuple[datetime, int, bool, bool, bool]:
        return [fact for fact in self.facts if fact[0] < time][-1]

    def during(self, time: datetime) -> list[tuple[datetime, int, bool, bool, bool]]:
        """All that was so from a moment on."""
        return [self.before(time), *(fact for fact in self.facts if fact[0] >= time)]

    def objection(self, time: datetime, answer: Answer) -> str:
        """What is wrong with an answer; empty if nothing is."""
        verdict = answer.verdict
        jitter = [jitter for since, jitter in self.jitters if since < time][-1]
        _, step, enabled, _, _ = self.before(time)
        own = max(
            at + timedelta(seconds=occurrence_delay(ID, at, jitter))
            for at in (time, time - (step or 1) * MINUTE)  # each waits for the one before
        )
        if verdict in ("unknown", "finished") and self.keep_runs < 100:
            return ""  # by the end that counted then, if its run is no longer on record
        if (time in self.ran) != (verdict in ("ran", "waiting", "running")):
            return f"it {'ran' if time in self.ran else 'did not run'}"
        if time in self.ran:
            return ""
        if verdict in ("lost", "unknown"):
            return "nothing was deleted"
        if self.kind == "rhythm" and (step or any(fact[0] == time for fact in self.facts)):
            return ""
        if not step or time.minute % step:
            return "" if verdict == "none" else "no run was due"
        if verdict == "none":
            return "a run was due"
        if verdict == "disabled":
            may_be = [not fact[2] for fact in self.during(time)]
            return "" if any(may_be) else "it was enabled"
        if not enabled:
            return "" if any(at < time for at in self.hidden_since) else "it was disabled"
        if verdict == "error":
            return "" if any(fact[4] for fact in self.facts) else "it was never broken"
        if verdict in ("misfire", "overlap") or time in self.skips:
            said = {"catch_up": "missed"}.get(self.skips.get(time, ""), self.skips.get(time))
            return "" if verdict == said else f"by get_skips it is {said}"
        if verdict == "missed":
            handled = any(ran > time for ran in self.ran)
            handled = handled or any(skipped > time for skipped in self.skips)
            changed = any(fact[0] >= time for fact in self.facts)
            return "" if handled or changed else "nothing came later"
        if verdict == "finished":
            return "" if self.ends else "it has no end"
        if verdict == "unled":
            return "somebody led and made a pass" if self.was_tended(own) else ""
        return ""

    def was_tended(self, own: datetime) -> bool:
        """Whether who led at this moment still led at a pass after it."""
        if not [fact for fact in self.facts if fact[0] <= own][-1][3]:
            return False
        later = [(at, True) for at in self.passed_at if at >= own]
        later += [(fact[0], False) for fact in self.facts if fact[0] >= own and not fact[3]]
        return bool(later) and min(later)[1]


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_no_answer_contradicts_what_was_done(
    connection: Redis, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    clock = set_clock(monkeypatch, MIDNIGHT)
    world = World(seed, connection, clock)
    world.live()
    world.read_skips()
    evidence = gather(ID, connection)
    wrong = []
    time = MIDNIGHT
    while time + MINUTE <= clock.time:
        time += MINUTE
        asked = meant(evidence, time, MINUTE)
        if asked > evidence.moment:
            break
        answer = judge(evidence, asked)
        objection = world.objection(asked, answer)
        if objection:
            wrong.append(f"{time:%H:%M} {answer.verdict}, but {objection}: {answer.sentence}")
    for ran in world.ran:
        if judge(evidence, ran).run is None and world.keep_runs == 100:
            wrong.append(f"{ran:%H:%M:%S} ran")
    assert wrong == [], "\n".join(world.told)
