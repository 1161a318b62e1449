"""Addresses of Redis as URLs, and their passwords, which no message may show."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s'\"<>]*@", re.IGNORECASE)
_OPTION = re.compile(r"(\bpassword=)('[^']*'|\"[^\"]*\"|[^&,)\s]*)", re.IGNORECASE)

_QUOTED = re.compile(r"'[^']*'")

_REMEDY = (
    "special characters of the password must be percent-encoded in a Redis URL: # as %23, / as "
    "%2F, ? as %3F, @ as %40, % as %25"
)


def hide_passwords(text: str) -> str:
    """The text without user names and passwords of URLs, and without passwords of options."""
    return _OPTION.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text))


@lru_cache(maxsize=256)
def check_url(url: str) -> None:
    """Raise ValueError if a part of the password would be taken for host, port or database.

    Messages that name the server would show it then, and so would the resolver's log.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # no address at all, as those who use it will say
    # A URL of Redis has no fragment, and an @ behind the host in values of its options only; and
    # in a path, if that is one of a socket: what stands before that are credentials or nothing.
    is_socket = parts.scheme == "unix" and (not parts.netloc or "@" in parts.netloc)
    path = "" if is_socket else parts.path
    if "#" in url or "@" in path or "@" in parts.query.partition("=")[0]:
        raise ValueError(f"{_misread(parts)}{_REMEDY}")


def _misread(parts: SplitResult) -> str:
    """What urllib says of the port; it quotes a part of the password, which is left out."""
    try:
        parts.port  # noqa: B018 - raises
    except ValueError as error:
        return _QUOTED.sub("'...'", str(error)) + "; "
    return ""
