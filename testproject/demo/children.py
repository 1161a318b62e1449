"""A child process of the demo: watched, relayed line by line, stopped for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Thread

LAST_LINES = 15

# Seconds that a child gets for each request to stop. An RQ worker finishes its job after the
# first one and abandons it after the second.
PATIENCE = (10, 3)


class Child:
    """One process in its own group, so that the terminal's Ctrl-C does not reach it as well."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        relay: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._relay = relay
        self.process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    def ended(self) -> str | None:
        """Return None while the process runs, then how it ended and its last lines."""
        if self.process.poll() is None:
            return None
        self.drain()
        return "\n".join([f"{self.name} ended {self._how()}", *self.tail()])

    def tail(self) -> list[str]:
        """Return the last lines of its output, each with its name."""
        return [f"  {self.name} | {line}" for line in list(self.last_lines)]

    def drain(self) -> None:
        """Wait until the output of an ended process has been relayed."""
        # A grandchild may still hold the pipe: what the process itself wrote is read by then.
        self._reader.join(timeout=2)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = line.rstrip()
            self.last_lines.append(text)
            self._relay(self.name, text)

    def _how(self) -> str:
        status = self.process.returncode
        if status < 0:
            return f"by {signal.Signals(-status).name}"
        return f"with exit status {status}"


def stop(children: Iterable[Child]) -> None:
    """Ask every child to end, wait for it, and kill it at last."""
    alive = list(children)
    for patience in PATIENCE:
        for child in alive:
            child.process.terminate()
        alive = _still_alive(alive, time.monotonic() + patience)
    for child in alive:
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


def _still_alive(children: list[Child], deadline: float) -> list[Child]:
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
    return [child for child in children if child.process.poll() is None]
