"""What the schedules of the tests run."""

from __future__ import annotations

import os
import signal
from typing import Any

from rq import Retry, get_current_job

from django_rediscron import current_occurrence


def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return what it was called with."""
    return {"args": list(args), "kwargs": kwargs}


def count_keys(pattern: str) -> int:
    """How many keys there are of this pattern."""
    job = get_current_job()
    assert job is not None
    return len(job.connection.keys(pattern))


def fail(*args: Any) -> None:
    """Raise."""
    raise ValueError("it failed, with a reason")


def ask_again(times: int) -> Any:
    """Ask RQ to run it once more, so often."""
    return Retry(max=times)


def die() -> None:
    """Kill its own process."""
    os.kill(os.getpid(), signal.SIGKILL)


def raising_callback(job: Any, connection: Any, *rest: Any) -> None:
    """Called by RQ, which it disappoints."""
    raise RuntimeError("no callback")


def succeeded(job: Any, connection: Any, result: Any) -> None:
    """Called by RQ with what a job returned."""


def failed(job: Any, connection: Any, *raised: Any) -> None:
    """Called by RQ with what a job raised."""


def stopped(job: Any, connection: Any) -> None:
    """Called by RQ when a job was stopped."""


def tell_occurrence(*, fail_first: bool = False) -> list[Any]:
    """Return the occurrence that runs; with `fail_first`, at the second attempt."""
    job = get_current_job()
    if fail_first and job is not None and not job.meta.get("tried"):
        job.meta["tried"] = True
        job.save_meta()
        raise RuntimeError("the first attempt fails")
    found = current_occurrence()
    assert found is not None
    return [found.schedule_id, found.time and found.time.isoformat()]


class Reports:
    """Functions by reference that a worker can, and cannot, find again."""

    def __call__(self) -> None: ...

    def bound(self) -> None: ...

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @staticmethod
    def static() -> str:
        return "static"


class Annual(Reports):
    """Inherits `of_class`, whose name leads to the parent's."""


def make_nested() -> Any:
    """A function that nobody else can import."""

    def nested() -> None: ...

    return nested


NOT_A_FUNCTION = 5


def wait_for_release(name: str) -> None:
    """Run until somebody pushes something to the list of that name; at the most for a minute."""
    job = get_current_job()
    assert job is not None
    job.connection.rpush(f"{name}:started", job.id)
    job.connection.blpop([name], timeout=60)
