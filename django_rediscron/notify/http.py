"""HTTP requests to other services, with nothing but the standard library."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, NamedTuple, cast
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from .._version import __version__
from ..core.quoting import cut, flat, quoted

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of an answer that are read: a list of ten thousand checks is shorter."""

_CHUNK = 65536
_LONGEST_REASON = 200
_SHORTEST_SECRET = 8
"""Characters: parts of an address that are shorter are words such as `fail`."""


class RequestFailedError(Exception):
    """A request without success, in one line that does not show secrets in its URL."""

    def __init__(self, message: str, status: int = 0, retry_after: str = "") -> None:
        super().__init__(message)
        self.status = status
        """0 if there was no answer."""
        self.retry_after = retry_after
        """The header `Retry-After`, as it came."""


class Answer(NamedTuple):
    """An answer with a status of 2xx."""

    status: int
    body: bytes


def send(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> Answer:
    """Send a request and read its answer, in about `timeout` seconds.

    A GET follows redirects to http and https, without `headers` if they lead to another host; other
    methods follow none, for the body would be lost. User and password in the URL are sent as basic
    authentication. Proxies of the environment are used. Raises
    `RequestFailedError` unless the answer has a status of 2xx, and ValueError for another URL.
    """
    shown = masked(url)
    deadline = time.monotonic() + timeout
    address, login = _without_login(check_url("url", url))
    request = Request(address, data=body, method=method)
    request.add_header("User-Agent", f"django-rediscron/{__version__}")
    for name, value in {**login, **(headers or {})}.items():
        request.add_header(name, value)
    try:
        with _opener().open(request, timeout=timeout) as response:
            return Answer(response.status, _read(response, deadline))
    except HTTPError as error:
        with error:
            raise _refused(error, url, shown, deadline) from None
    except (OSError, HTTPException, ValueError) as error:
        raise RequestFailedError(f"{shown}: {_reason(error)}") from None


def check_url(name: str, value: object) -> str:
    """An absolute http or https URL. Raises ValueError, which shows of it only scheme and host."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else SplitResult("", "", "", "", "")
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_right = is_right and not any(c == " " or not c.isprintable() for c in str(value))
        is_right = is_right and str(value).isascii()
    except ValueError:
        is_right = False
    if is_right:
        return cast(str, value)
    shown = masked(value) if isinstance(value, str) and value else quoted(value)
    raise ValueError(
        f"{name} must be a URL that begins with http:// or https:// and has no spaces, line breaks "
        f"or other characters than ASCII, which are percent-encoded; got {shown}"
    )


def masked(url: str) -> str:
    """A URL without what may be secret in it: user, password, path and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "a URL that cannot be read"
    if not parts.scheme or not host:
        return "a text without scheme or host"
    shown = f"{parts.scheme}://[{host}]" if ":" in host else f"{parts.scheme}://{host}"
    has_more = parts.path not in ("", "/") or parts.query
    return f"{shown}{f':{port}' if port else ''}{'/...' if has_more else ''}"


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """The URL, and the header for user and password in it: urllib would take them for the host."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    user, _, password = login.partition(":")
    credentials = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {credentials}"}


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if req.get_method() not in ("GET", "HEAD"):
            return None
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in ("https", before.scheme):
            shown = masked(req.full_url)
            target = f"an address of {cut(after.scheme, 20)}"
            raise RequestFailedError(f"{shown} redirects to {target}, which is refused")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and before.netloc != after.netloc:
            request.headers = {"User-agent": req.get_header("User-agent", "")}
        return request


@cache
def _opener() -> OpenerDirector:
    """One that knows neither files nor FTP; made once, for it reads all certificates."""
    opener = OpenerDirector()
    handlers: tuple[Any, ...] = (
        ProxyHandler(),
        UnknownHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _read(response: Any, deadline: float, most: int = MAX_ANSWER) -> bytes:
    """The body, as much as arrives in time: an answer may trickle in for ever."""
    body = bytearray()
    while len(body) < most and (part := response.read1(_CHUNK)):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body[:most])


def _refused(error: HTTPError, url: str, shown: str, deadline: float) -> RequestFailedError:
    """What the server answered, with the beginning of its reason if that is text."""
    if 300 <= error.code < 400:
        reason = "redirected, which is not followed; use the address that it leads to"
    else:
        reason = flat(error.reason)
        if error.headers.get_content_type() in ("text/plain", "application/json"):
            try:
                body = _read(error, deadline, most=_CHUNK).decode(errors="replace")
            except (OSError, HTTPException, ValueError):
                body = ""
            reason = f"{reason}: {flat(body)}" if body.strip() else reason
    for secret in _secrets(url):
        reason = reason.replace(secret, "...")
    retry_after = error.headers.get("Retry-After", "")
    return RequestFailedError(
        f"{shown} answers {error.code} {cut(reason, _LONGEST_REASON)}".rstrip(),
        error.code,
        retry_after,
    )


def _secrets(url: str) -> list[str]:
    parts = urlsplit(url)
    found = [parts.query, *parts.path.split("/"), parts.password or "", parts.username or ""]
    return [each for each in found if len(each) >= _SHORTEST_SECRET]


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return flat(error.strerror)
    # These quote addresses and headers.
    if isinstance(error, (HTTPException, ValueError)) and not isinstance(error, OSError):
        return type(error).__name__
    return cut(flat(error), _LONGEST_REASON) or type(error).__name__
