"""Requests to other services end in time, and tell nobody what is secret.

Seen to fail, each with this taken out: the deadline in `_read`, `redirect_request`, the replacement
of secrets in `_refused`, `masked`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from django_rediscron.notify.http import RequestFailedError, check_url, masked, send
from tests.http_server import HANGS, TRICKLES, HttpServer, Reply, http_server

SECRET = "T0000000-s3cr3t-token"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def failure(server: HttpServer, method: str = "POST", timeout: float = 5) -> str:
    """The message of a request to a secret address."""
    url = f"{server.url}/services/{SECRET}/fail?key={SECRET}"
    with pytest.raises(RequestFailedError) as raised:
        send(method, url, body=b"x" if method == "POST" else None, timeout=timeout)
    text = str(raised.value)
    assert SECRET not in text
    assert text.startswith(f"{server.url}/...")
    assert "\n" not in text
    return text


def test_a_request_is_sent_as_it_is_given(server: HttpServer) -> None:
    server.reply = Reply(201, b"Created")
    answer = send("POST", f"{server.url}/a/b?c=1", body=b"text", headers={"X-Own": "yes"})
    assert answer == (201, b"Created")
    received = server.next()
    assert (received.method, received.path, received.query) == ("POST", "/a/b", {"c": "1"})
    assert received.body == b"text"
    assert received.headers["x-own"] == "yes"
    assert received.headers["user-agent"].startswith("django-rediscron/")


def test_user_and_password_of_a_url_are_sent_as_basic_authentication(server: HttpServer) -> None:
    send("GET", server.url.replace("://", "://me:p%40ss@") + "/a")
    received = server.next()
    assert received.path == "/a"
    assert received.headers["authorization"] == "Basic bWU6cEBzcw=="  # me:p@ss


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_other_answers_raise_with_the_reason_that_is_given(server: HttpServer, status: int) -> None:
    reason = f"no such\nhook: {SECRET}".encode() + b"x" * 10_000
    headers = {"Content-Type": "text/plain", "Retry-After": "7"}
    server.reply = Reply(status, reason, headers)
    text = failure(server)
    assert f" answers {status} " in text
    assert "no such hook: ..." in text
    assert len(text) < 400
    with pytest.raises(RequestFailedError) as raised:
        send("GET", server.url)
    assert (raised.value.status, raised.value.retry_after) == (status, "7")


def test_pages_are_not_quoted(server: HttpServer) -> None:
    server.reply = Reply(500, b"<html>long</html>", {"Content-Type": "text/html"})
    assert failure(server).endswith("answers 500 Internal Server Error")


def test_an_answer_that_does_not_come_or_end_is_given_up(server: HttpServer) -> None:
    for reply in (HANGS, TRICKLES):
        server.reply = reply
        assert failure(server, timeout=0.3).endswith(": no answer in time")


def test_nobody_is_there(server: HttpServer) -> None:
    server.refuse()
    assert failure(server).endswith(": Connection refused")


def test_what_is_not_http_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.settimeout(10)

        def babble() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(RequestFailedError, match="BadStatusLine"):
            send("GET", f"http://127.0.0.1:{port}/", timeout=5)
        thread.join()


def test_redirects_are_followed_by_a_get_only_and_without_headers(server: HttpServer) -> None:
    with http_server() as other:
        server.reply = Reply(302, b"", {"Location": f"{other.url}/there"})
        answer = send("GET", f"{server.url}/here", headers={"X-Api-Key": SECRET})
        assert answer.status == 200
        assert server.next().headers["x-api-key"] == SECRET
        assert "x-api-key" not in other.next().headers
        assert failure(server).endswith("use the address that it leads to")
        assert other.received.empty()


@pytest.mark.parametrize("scheme", ["ftp", "file", "data", "gopher"])
def test_redirects_lead_to_http_only(server: HttpServer, scheme: str) -> None:
    server.reply = Reply(302, b"", {"Location": f"{scheme}://127.0.0.1/etc/passwd"})
    text = failure(server, "GET")
    assert "redirects to an address of ftp" in text or "redirected, which is not followed" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://example.com/secret", "ftp://example.com/..."),
        ("https:///services/secret", "a text without scheme or host"),
        ("secret", "a text without scheme or host"),
        ("http://example.com:port/secret", "a URL that cannot be read"),
        ("https://example.com/secret\n", "https://example.com/..."),
        ("https://example.com/geheim/ü", "https://example.com/..."),
        (None, "None"),
    ],
)
def test_only_http_is_accepted(url: object, shown: str) -> None:
    with pytest.raises(ValueError, match="url must be a URL that begins with http") as raised:
        check_url("url", url)
    assert str(raised.value).endswith(f"got {shown}")


def test_urls_are_shown_without_secrets() -> None:
    assert masked("https://me:pass@hooks.example.com:8443/T/B?x#y") == (
        "https://hooks.example.com:8443/..."
    )
    assert masked("http://[::1]:80/") == "http://[::1]:80"
