"""A receiver that sends mail, through Django."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage

from ..core.notifying.notification import ALARMS, Notification
from ..core.notifying.receivers import Receiver
from ..core.quoting import quoted
from ..core.timing.durations import Duration, as_seconds, positive_seconds
from ..terminal import one_line
from .links import address, check_site
from .mail_text import body, subject

STEPS = 3
"""Answers of a server that an attempt may wait for, each as long as the time-out, before it is
given up as a whole."""


def make(
    *,
    to: Sequence[str] | None = None,
    sender: str | None = None,
    site: str = "",
    subject_prefix: str | None = None,
    gather: Duration = 60,
    timeout: Duration = 10,
    kinds: Iterable[str] = ALARMS,
    name: str = "mail",
) -> Receiver:
    """A receiver that sends alarms by mail, those of a minute in one.

    `to`: addresses, by default those of `ADMINS`. `sender`: by default `SERVER_EMAIL`. `site`: the
    address of the site for links to its admin, such as `https://example.com`; by default the
    current site of `django.contrib.sites`. `subject_prefix`: by default `EMAIL_SUBJECT_PREFIX`.
    `gather`: seconds for which the first alarm waits for others; 0 sends each in a mail of its own.
    `timeout`: seconds to wait for each answer of the mail server. `kinds`: which alarms to send.
    `name`: tells apart several of these receivers.

    Raises ValueError for options that cannot work.
    """
    site = check_site(site)
    addresses = _addresses(to)
    seconds = positive_seconds("timeout", timeout)

    def send(notifications: Sequence[Notification]) -> None:
        prefix = settings.EMAIL_SUBJECT_PREFIX if subject_prefix is None else subject_prefix
        message = EmailMessage(
            one_line(f"{prefix}{subject(notifications)}"),
            body(notifications, address(site)),
            sender or settings.SERVER_EMAIL,
            addresses,
            # So that nobody's automatic reply answers it.
            headers={"Auto-Submitted": "auto-generated"},
        )
        _connection(seconds).send_messages([message])

    return Receiver(
        name,
        send,
        kinds=frozenset(kinds),
        gather=_not_negative("gather", gather),
        timeout=max(30, STEPS * seconds),
    )


def _addresses(to: object) -> list[str]:
    if to is None:
        # Django 6.0 wants addresses, and until then it wanted pairs of a name and an address.
        given = getattr(settings, "ADMINS", None) or ()
        to = [each[1] if isinstance(each, (list, tuple)) else str(each) for each in given]
        if not to:
            raise ValueError("nobody would get the mail; add addresses to ADMINS, or as to=[...]")
    if not isinstance(to, (list, tuple)) or not to or not all(map(_is_address, to)):
        raise ValueError(f"to must be a list of mail addresses, got {quoted(to)}")
    return list(to)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


def _not_negative(name: str, value: Duration) -> float:
    return 0 if as_seconds(value) == 0 else positive_seconds(name, value)


def _connection(timeout: float) -> Any:
    """What Django sends mail with, which waits no longer than that for an answer."""
    # Django 6.1 calls them mailers.
    mailers = getattr(mail, "mailers", None)
    connection = mail.get_connection() if mailers is None else mailers.default
    if hasattr(connection, "timeout"):  # that of SMTP has it, and many of other packages
        connection.timeout = timeout
    return connection
