"""System checks: settings of the wrong shape, declared schedules that cannot run, receivers of
alarms that cannot be used, and a Redis that may throw schedules away."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, TypeGuard

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from redis import Redis
from redis.exceptions import RedisError

from .conf import KNOWN, conf, is_name, is_pattern, is_token
from .core.monitoring.measurements import SCHEDULES, check_schedules
from .core.plain import plain
from .core.process.lock import LONGEST_LOCK_TTL, SHORTEST_LOCK_TTL
from .core.quoting import quoted
from .core.schedule.missed import LATE_AFTER
from .core.sensitive import SENSITIVE
from .core.store.connections import Server, server
from .core.story.following import KEEP_RUNS, check_keep_runs
from .core.timing.durations import as_seconds
from .notify import load_receivers
from .notify.http import check_url
from .queues import connections
from .sync.declarations import all_declarations
from .sync.faults import declaration_faults

SETTINGS = "django_rediscron"
"""The tag of what this app's commands require. They treat each bad declaration by itself."""

SHORTEST_TOKEN = 16
"""Characters; `secrets.token_urlsafe()` makes 43."""

DECLARATIONS = "django_rediscron_declarations"
"""The tag of what is wrong with declared schedules."""

RECEIVERS = "django_rediscron_receivers"
"""The tag of what is wrong with receivers of alarms. It stops no command: schedules run all the
same, and the scheduler logs it."""


def check_settings(**_: Any) -> list[CheckMessage]:
    """`REDISCRON` is a dictionary of what this app knows, in the right shape."""
    given = getattr(settings, "REDISCRON", {})
    if not isinstance(given, dict):
        return [
            Error(
                f"REDISCRON should be a dictionary, got {quoted(given)}.",
                hint='For instance REDISCRON = {"QUEUE": "default"}, or leave it out.',
                id="django_rediscron.E001",
            )
        ]
    return [*_unknown_settings(given), *_misshapen_settings(given), *_short_token(given)]


def _unknown_settings(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    for key in given:
        if key not in KNOWN:
            alike = get_close_matches(str(key).upper(), KNOWN, n=1)
            guess = f"Did you mean {quoted(alike[0])}? " if alike else ""
            yield Error(
                f"REDISCRON has an unknown key: {quoted(key)}.",
                hint=f"{guess}The known keys are {', '.join(KNOWN)}.",
                id="django_rediscron.E002",
            )


def _misshapen_settings(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    for key, (default, check) in _SHAPES.items():
        if key in given:
            try:
                check(given[key])
            except ValueError as error:
                yield Error(
                    f'REDISCRON["{key}"] should be {error}.',
                    hint=f"The default is {default}.",
                    id="django_rediscron.E003",
                )


def _short_token(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    token = plain(given.get("METRICS_TOKEN"))
    if is_token(token) and len(token) < SHORTEST_TOKEN:
        yield Warning(
            f'REDISCRON["METRICS_TOKEN"] has only {len(token)} characters, so it can be guessed.',
            hint="Make one with python -c 'import secrets; print(secrets.token_urlsafe())'.",
            id="django_rediscron.W002",
        )


def _check_queue(value: object) -> None:
    if not is_name(value):
        raise ValueError(f"the name of a queue in RQ_QUEUES, got {value!r:.80}")


def _check_application(value: object) -> None:
    if not is_name(value):
        raise ValueError(f"a name for this project, got {value!r:.80}")


def _check_lock_ttl(value: object) -> None:
    seconds = as_seconds(value)
    if not _is_number(seconds) or not SHORTEST_LOCK_TTL <= seconds <= LONGEST_LOCK_TTL:
        raise ValueError(
            f"a positive number of seconds between {SHORTEST_LOCK_TTL} and {LONGEST_LOCK_TTL}, "
            f"got {value!r:.80}"
        )


def _check_seconds(value: object) -> None:
    seconds = as_seconds(value)
    if not _is_number(seconds) or not 0 < seconds < math.inf:
        raise ValueError(f"a positive number of seconds, got {value!r:.80}")


def _check_heartbeat_url(value: object) -> None:
    if value not in (None, ""):  # as where a variable of the environment is not set
        try:
            check_url("it", value)
        except ValueError as error:
            raise ValueError(str(error).removeprefix("it must be ")) from None


def _check_allowed_functions(value: object) -> None:
    if not isinstance(value, (list, tuple, set)):
        raise ValueError(f"a list of dotted names, got {value!r:.80}")
    for each in value:
        if not is_pattern(each):
            raise ValueError(
                f"a list of dotted names such as 'reports.tasks.build' or 'reports.tasks.*', whose "
                f"first part has no '*', but it contains {each!r:.80}"
            )


def _check_files(value: object) -> None:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"a list of paths, got {value!r:.80}")
    for each in value:
        if not is_name(os.fspath(each) if isinstance(each, os.PathLike) else each):
            raise ValueError(f"a list of paths, but it contains {each!r:.80}")


def _check_token(value: object) -> None:
    """The message does not show it."""
    token = plain(value)
    if token is not None and token != "" and not is_token(token):
        kind = (
            "other characters"
            if isinstance(token, str)
            else f"a value of type {type(token).__name__}"
        )
        raise ValueError(f"a text of visible ASCII characters, without spaces, got {kind}")


def _check_sensitive(value: object) -> None:
    if not isinstance(value, (list, tuple, set)):
        raise ValueError(f"a list of names of keyword arguments, got {value!r:.80}")
    for each in value:
        if not is_name(each):
            raise ValueError(f"a list of names of keyword arguments, but it contains {each!r:.80}")


_SHAPES: dict[str, tuple[str, Callable[[object], object]]] = {
    "QUEUE": ('"default"', _check_queue),
    "APPLICATION": ("the name of the settings module", _check_application),
    "LOCK_TTL": ("30", _check_lock_ttl),
    "MAX_SLEEP_INTERVAL": ("60.0", _check_seconds),
    "KEEP_RUNS": (str(KEEP_RUNS), check_keep_runs),
    "LATE_AFTER": (str(LATE_AFTER), _check_seconds),
    "METRICS_SCHEDULES": (str(SCHEDULES), check_schedules),
    "METRICS_TOKEN": ("None: only staff may see metrics", _check_token),
    "HEARTBEAT_URL": ("none", _check_heartbeat_url),
    "ALLOWED_FUNCTIONS": ("[]", _check_allowed_functions),
    "SENSITIVE": (", ".join(SENSITIVE), _check_sensitive),
    "FILES": ("[]", _check_files),
}
"""Setting -> its default, and what raises ValueError with the rest of "should be ..."."""


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_queues(**_: Any) -> list[CheckMessage]:
    """django-rq is there, and knows the queue whose Redis the scheduler uses."""
    messages: list[CheckMessage] = []
    if not apps.is_installed("django_rq"):
        messages.append(
            Error(
                "INSTALLED_APPS should contain 'django_rq'.",
                hint="django_rediscron takes its queues and connections from django-rq.",
                id="django_rediscron.E006",
            )
        )
    queues = getattr(settings, "RQ_QUEUES", None)
    if not _is_queues(queues):
        messages.append(
            Error(
                "RQ_QUEUES is not set."
                if queues is None
                else "RQ_QUEUES should be a dictionary of dictionaries, one for each queue, "
                f"got {queues!r:.80}.",
                hint='For instance RQ_QUEUES = {"default": {"URL": "redis://localhost:6379/0"}}.',
                id="django_rediscron.E004",
            )
        )
    elif is_name(conf.QUEUE) and conf.QUEUE not in queues:
        messages.append(
            Error(
                f'REDISCRON["QUEUE"] should be the name of a queue in RQ_QUEUES, '
                f"got {quoted(conf.QUEUE)}.",
                hint=f"RQ_QUEUES has {', '.join(map(repr, queues))}.",
                id="django_rediscron.E005",
            )
        )
    return messages


def _is_queues(queues: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    return (
        isinstance(queues, dict)
        and bool(queues)
        and all(isinstance(config, dict) for config in queues.values())
    )


def check_declared(**_: Any) -> list[CheckMessage]:
    """Each declared schedule can run: its function is there and takes its arguments."""
    if not _is_queues(getattr(settings, "RQ_QUEUES", None)):
        return []  # E004 says so, once
    wrong_files = all_declarations()[1]
    return [
        Error(
            f"{fault[0].upper()}{fault[1:]}.",
            hint="Correct the file; until then rqrcron_sync writes nothing."
            if fault in wrong_files
            else "Correct the declaration; rqrcron_sync leaves this schedule as it is.",
            id="django_rediscron.E009" if fault in wrong_files else "django_rediscron.E007",
        )
        for fault in declaration_faults()
    ]


def check_receivers(**_: Any) -> list[CheckMessage]:
    """Each receiver in `NOTIFY` can be imported, and takes its options."""
    return [
        Error(fault.text, hint=fault.remedy, id="django_rediscron.E008")
        for fault in load_receivers().faults
    ]


def check_eviction(*, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """No Redis of `RQ_QUEUES` may throw away keys without a TTL, as schedules are, to save memory.

    One that cannot be asked gets no warning: whether it is up is not for a check of settings.
    """
    # Django before 6.0 runs the database checks always, and without --database they do nothing.
    # `migrate` and `test` name databases on their own, and are to work without Redis.
    asked = databases is not None and sys.argv[1:2] not in (["migrate"], ["test"])
    if not asked or not _is_queues(getattr(settings, "RQ_QUEUES", None)):
        return []
    return [
        Warning(
            f"The Redis of {', '.join(map(repr, names))} evicts any key when its memory is full "
            f"(maxmemory-policy {policy}): schedules and jobs may vanish.",
            hint="Set maxmemory-policy to noeviction, or give these queues another Redis.",
            id="django_rediscron.W001",
        )
        for connection, names in _servers()
        if (policy := _evicting_policy(connection)) is not None
    ]


def _servers() -> list[tuple[Redis, list[str]]]:
    found: dict[Server, tuple[Redis, list[str]]] = {}
    for name, connection in connections():
        found.setdefault(server(connection), (connection, []))[1].append(name)
    return list(found.values())


def _evicting_policy(connection: Redis) -> str | None:
    """The policy if it evicts keys without a TTL. The volatile ones spare them."""
    try:
        # Hosted servers that refuse CONFIG still answer this.
        memory: dict[str, Any] = connection.info("memory")
    except (RedisError, OSError):
        return None
    policy = str(memory.get("maxmemory_policy", ""))
    return policy if memory.get("maxmemory") and policy.startswith("allkeys-") else None
