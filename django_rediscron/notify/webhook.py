"""Alarms as a POST of JSON to a URL, signed if you give a secret; also in Slack's format."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..core.notifying.notification import ALARMS, Notification
from ..core.notifying.receivers import Receiver
from ..core.quoting import quoted
from ..core.timing.durations import Duration, positive_seconds
from . import links
from .http import check_url, send

FORMATS = ("json", "slack")

LONGEST_TEXT = 3000
"""Characters of a message to Slack, which cuts longer ones."""


def make(
    url: str,
    secret: str | None = None,
    format: str = "json",
    site: str = "",
    timeout: Duration = 10,
    headers: Mapping[str, str] | None = None,
    kinds: Iterable[str] = ALARMS,
    name: str | None = None,
) -> Receiver:
    """A receiver that sends each alarm to `url`, an http or https address, as a POST.

    `secret`: key of the signature in the header `X-Rediscron-Signature`; None for no signature.
    `format`: `json`, or `slack` for the incoming webhooks of Slack and of what understands their
    `{"text": ...}`. `site`: beginning of the links to the admin, such as `https://example.com`.
    `timeout`: seconds for each attempt. `headers`: sent in addition, such as `Authorization`.
    `kinds`: the alarms to send.
    `name`: under which Redis keeps what was sent; by default made of the URL, so that a new URL
    begins with new alarms.
    """
    check_url("url", url)
    site = links.check_site(site)
    seconds = positive_seconds("timeout", timeout)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {quoted(format)}")
    if secret is not None and (not isinstance(secret, str) or not secret):
        raise ValueError("secret must be a text that is not empty, or None for no signature")
    own = _checked_headers(headers or {})
    body_of = _slack if format == "slack" else _json

    def tell(notifications: Sequence[Notification]) -> None:
        for notification in notifications:
            text = json.dumps(body_of(notification, site), ensure_ascii=False)
            body = text.encode(errors="replace")
            sent = {"Content-Type": "application/json", "X-Rediscron-Id": notification.id, **own}
            if secret is not None:
                sent["X-Rediscron-Signature"] = signature(secret, body, int(time.time()))
            send("POST", url, body=body, headers=sent, timeout=seconds)

    return Receiver(name=name or _name(url), tell=tell, kinds=frozenset(kinds), timeout=2 * seconds)


def signature(secret: str, body: bytes, moment: int) -> str:
    """`t=MOMENT,v1=HEX`: the HMAC-SHA256 of `MOMENT.BODY`, in seconds since 1970.

    The moment is signed, so that the receiver can refuse what somebody recorded and sends again.
    """
    signed = f"{moment}.".encode() + body
    return f"t={moment},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _json(notification: Notification, site: str) -> dict[str, Any]:
    return {**notification.to_json(), "link": _link(notification, site)}


def _slack(notification: Notification, site: str) -> dict[str, Any]:
    text = _escaped(notification.text[:LONGEST_TEXT])
    link = _link(notification, site)
    if urlsplit(link).scheme:
        label = _escaped(notification.schedule_id or "admin")
        text = f"{text}\n<{_escaped(link)}|{label}>"
    return {"text": text}


def _link(notification: Notification, site: str) -> str:
    if notification.schedule is None:
        return links.list_link(site)
    return links.schedule_link(notification.schedule_id, site)


def _escaped(text: str) -> str:
    """A text in which Slack finds no markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _name(url: str) -> str:
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return f"webhook {urlsplit(url).hostname} {digest}"


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for key, value in headers.items():
        is_text = isinstance(key, str) and isinstance(value, str) and key and value.isprintable()
        if not is_text or not key.replace("-", "").isalnum() or not value.isascii():
            raise ValueError(f"headers must be texts on one line, got another for {quoted(key)}")
    return dict(headers)
