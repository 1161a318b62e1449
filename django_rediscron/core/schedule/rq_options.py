"""RQ's callbacks of a schedule's jobs, as one text each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rq import Callback

from ..dotted_names import function_name, is_dotted_name, resolve_function
from ..exceptions import InvalidScheduleError
from ..plain import plain
from ..quoting import cut, quoted
from ..timing.cron_times import MAX_SECONDS
from ..timing.durations import as_seconds

CALLBACKS = ("on_success", "on_failure", "on_stopped")

_RQ_TIMEOUT = Callback("builtins.print").timeout


def check_callback(name: str, value: Any) -> str | None:
    """The dotted name of a callback, and its timeout in seconds if it is not RQ's default."""
    if value is None or value == "":
        return None
    func: Any
    timeout: Any
    if isinstance(value, Callback):
        func, timeout = value.func, value.timeout
    elif isinstance(value, str):
        func, _, rest = value.strip(" \t").partition(" ")
        timeout = as_seconds(rest) if rest else _RQ_TIMEOUT
        if type(timeout) is not int or not 0 < timeout <= MAX_SECONDS:
            raise InvalidScheduleError(
                f"{name} must be a dotted name such as 'reports.tasks.done', and behind it, if "
                f"wanted, a time-out in seconds, got {quoted(value)}"
            )
    else:
        func, timeout = value, _RQ_TIMEOUT
    timeout = plain(timeout)
    if type(timeout) is not int or not 0 < timeout <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must have a positive whole number of seconds as time-out, "
            f"got {quoted(timeout)}"
        )
    if isinstance(func, str):
        dotted = plain(func)
        if not is_dotted_name(dotted):
            raise InvalidScheduleError(
                f"{name} must be a dotted name such as 'reports.tasks.done', got {quoted(value)}"
            )
    elif callable(func):
        dotted = function_name(func, name)
    else:
        raise InvalidScheduleError(
            f"{name} must be a function, its dotted name or an rq.Callback, got {quoted(value)}"
        )
    return dotted if timeout == _RQ_TIMEOUT else f"{dotted} {timeout}"


def make_callback(
    text: str | None, name: str = "callback", *, importable: bool = True
) -> Callback | None:
    """RQ's callback of a text that `check_callback` returned.

    With `importable`, raises `InvalidScheduleError` if no worker could import it.
    """
    if not text:
        return None
    dotted, _, timeout = text.partition(" ")
    if importable:
        resolve_function(dotted, name)
    return Callback(dotted, timeout=int(timeout) if timeout else None)


Webhook: Any
try:
    from rq.webhook import Webhook
except ImportError:
    Webhook = None


def dump_webhooks(webhooks: Sequence[Any] | None) -> str:
    """JSON, empty for none. Raises `InvalidScheduleError` for anything but a list of webhooks."""
    if not webhooks:
        return ""
    if Webhook is None:
        raise InvalidScheduleError("webhooks need RQ 2.10 or later; upgrade rq or leave them out")
    if not isinstance(webhooks, (list, tuple)) or not all(
        isinstance(webhook, Webhook) for webhook in webhooks
    ):
        raise InvalidScheduleError(
            f"webhooks must be a list of rq.webhook.Webhook objects, got {quoted(webhooks)}"
        )
    return json.dumps([webhook.to_dict() for webhook in webhooks], separators=(",", ":"))


def load_webhooks(text: str | None) -> list[Any] | None:
    """The webhooks that `dump_webhooks` wrote; None for none."""
    if not text:
        return None
    if Webhook is None:
        raise InvalidScheduleError("field 'webhooks' needs RQ 2.10 or later; upgrade rq")
    try:
        return [Webhook.from_dict(webhook) for webhook in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidScheduleError(f"field 'webhooks' cannot be read: {cut(error)}") from None
