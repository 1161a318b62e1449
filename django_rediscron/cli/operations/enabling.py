"""`rqrcron enable` and `rqrcron disable`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import TypeVar

import click
from redis import Redis

from ...core.exceptions import InvalidScheduleError
from ...core.job import RedisCronJob
from ...core.schedule.option_checks import check_end, check_reason
from ..options import moment_in
from .many import Changes, Operation, operating

T = TypeVar("T", bound=Callable[..., object])


def _checked_reason(_context: click.Context, _option: click.Parameter, value: str) -> str:
    try:
        return check_reason(value)
    except InvalidScheduleError as error:
        raise click.BadParameter(str(error)) from None


def _checked_end(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> datetime | None:
    try:
        moment = datetime.now(timezone.utc)
        return check_end("TIME", value and moment_in(value, ahead=True), moment)
    except InvalidScheduleError as error:
        raise click.BadParameter(str(error)) from None


def reason_option(help: str) -> Callable[[T], T]:
    """One line."""
    return click.option("--reason", default="", callback=_checked_reason, metavar="TEXT", help=help)


def until_option(help: str) -> Callable[[T], T]:
    """A time in the future."""
    return click.option("--until", callback=_checked_end, metavar="TIME", help=help)


@operating("enable")
def enable() -> Operation:
    """Let schedules run from now on.

    Runs that were missed while they were disabled are not caught up.
    """

    def foresee(job: RedisCronJob, _: Redis) -> Changes | None:
        return None if job.enabled else {}

    def do(job: RedisCronJob, _: Redis) -> str:
        job.enable()
        return ""

    return Operation("enabled", do, foresee, undone="enabled already")


@operating("disable")
@reason_option("Why, for those who find them disabled.")
@until_option("The scheduler enables them then (UTC): 2026-06-03T05:40, or 2h, 1d from now.")
def disable(reason: str, until: datetime | None) -> Operation:
    """Keep schedules, but do not run them.

    Jobs that are in their queues already run all the same. With a reason or an end, schedules that
    are disabled already are so for this reason and until then from now on.
    """

    def foresee(job: RedisCronJob, _: Redis) -> Changes | None:
        is_so = (job.disabled_reason, job.disabled_until) == (reason, until)
        return None if not job.enabled and (is_so or not (reason or until)) else {}

    def do(job: RedisCronJob, _: Redis) -> str:
        job.disable(reason=reason, until=until)
        return ""

    return Operation("disabled", do, foresee, undone="disabled already")
