"""RQ's webhooks (RQ 2.10 and later) as JSON, the way RQ stores them with a job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..exceptions import InvalidScheduleError
from ..quoting import cut, quoted

Webhook: Any
try:
    from rq.webhook import Webhook
except ImportError:
    Webhook = None


def dump_webhooks(webhooks: Sequence[Any] | None) -> str:
    """JSON, empty for none. Raises `InvalidScheduleError` for what is no list of webhooks."""
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
