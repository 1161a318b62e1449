"""A mail server on loopback, which also hangs and refuses."""

from __future__ import annotations

import email.policy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from queue import Queue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import django
from django.test import override_settings


class MailServer(ThreadingTCPServer):
    """Takes mail, as long as `answers` say nothing else."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: Queue[EmailMessage] = Queue()
        self.recipients: list[str] = []
        self.refused: Queue[str] = Queue()
        """Verbs that got an answer from `answers`, and those that get none."""
        self.answers: dict[str, str] = {}
        """Verb -> what is answered instead; empty if nothing ever is."""
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Session(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        if not self._answer("CONNECT", "220 ready"):
            return
        for line in self.rfile:
            verb = line.decode().split()[0].upper()
            if verb == "RCPT":
                self.server.recipients.append(line.decode().strip())
            if not self._answer(verb, _ANSWERS.get(verb, "250 OK")) or verb == "QUIT":
                return
            if verb == "DATA" and "DATA" not in self.server.answers:
                self._take()

    def _take(self) -> None:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b"..") else line)
        if self._answer("MESSAGE", "250 taken") and "MESSAGE" not in self.server.answers:
            parsed: Any = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            self.server.mails.put(parsed)

    def _answer(self, verb: str, usual: str) -> bool:
        """Whether it goes on."""
        answer = self.server.answers.get(verb, usual)
        if verb in self.server.answers:
            self.server.refused.put(verb)
        if not answer:
            self.server.closing.wait()
            return False
        self.wfile.write(f"{answer}\r\n".encode())
        return True


_ANSWERS = {"DATA": "354 go on", "QUIT": "221 bye"}


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A server that Django sends mail to."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            with override_settings(**mail_settings(server.port)):
                yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


def mail_settings(port: int) -> dict[str, Any]:
    """The settings by which Django sends mail to a port of this machine."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if django.VERSION >= (6, 1):
        options = {"host": "127.0.0.1", "port": port}
        return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
    return {"EMAIL_BACKEND": backend, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": port}
