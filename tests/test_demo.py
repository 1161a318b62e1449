"""The demo runs, proves itself, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import pytest
from redis import Redis

MANAGE = Path(__file__).resolve().parent.parent / "testproject" / "manage.py"
SECONDS = 120
CHECKED = [
    *("executed", "edited", "site", "recovered", "skipped", "paused", "overridden", "zone"),
    "users",
]
"""How the lines of `--check` begin."""

pytestmark = pytest.mark.slow
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture
def mark() -> str:
    """A text in the environment of the demo and of all that it starts."""
    return f"DEMO_MARK={uuid.uuid4().hex}"


@pytest.fixture
def env(mark: str, tmp_path: Path, connection: Redis, redis_url: str) -> dict[str, str]:
    """An environment in which the demo's temporary files can be counted."""
    name, value = mark.split("=")
    env = {**os.environ, name: value, "TMPDIR": str(tmp_path)}
    if env.get("REDIS_URL"):
        env["REDIS_URL"] = redis_url  # the same server, in the database that is ours
    return env


def test_check_executes_edits_and_asks_the_site(
    env: dict[str, str], mark: str, tmp_path: Path
) -> None:
    with _demo("--check", env=env) as demo:
        output = _rest(demo)

    assert demo.returncode == 0, output
    assert [line.split(": ")[0] for line in output.splitlines()] == CHECKED
    assert _processes(mark) == []
    assert list(tmp_path.iterdir()) == []


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_of_it(
    number: signal.Signals, env: dict[str, str], mark: str, tmp_path: Path
) -> None:
    with _demo(env=env) as demo:
        site = _find(demo, r"^Site +http://(127\.0\.0\.1:\d+)/$")
        redis = _find(demo, r"^Redis +redis://\S*?([\w.]+:\d+)/\d+\b")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{site}/", timeout=10) as page:
            assert page.status == 200
        assert len(_processes(mark)) >= 4  # the demo itself, worker, scheduler, site

        assert _reached_by_ctrl_c(demo) == [demo.pid]

        if number == signal.SIGINT:
            os.killpg(demo.pid, number)  # as the terminal's Ctrl-C does
        else:
            demo.send_signal(number)
        rest = _rest(demo)

    assert demo.returncode == 0, rest
    assert rest.splitlines()[-1] == "Stopped."
    meant = rest.count("ConnectionError: The station")  # of a schedule that fails on purpose
    assert rest.count("Traceback") == meant
    assert _processes(mark) == []
    assert not _listens(site)
    assert env.get("REDIS_URL") or not _listens(redis)
    assert list(tmp_path.iterdir()) == []


@needs_proc
def test_a_child_that_ends_is_named(env: dict[str, str], mark: str, tmp_path: Path) -> None:
    nobody_listens = "redis://127.0.0.1:1/0"
    with _demo(env={**env, "REDIS_URL": nobody_listens}) as demo:
        output = _rest(demo)

    assert demo.returncode == 1, output
    assert re.search(r"^CommandError: demo_seed ended with exit status 1$", output, re.M)
    assert _processes(mark) == []
    assert list(tmp_path.iterdir()) == []


@contextmanager
def _demo(*arguments: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run `manage.py demo` in a process group of its own; whatever fails, it is stopped."""
    demo = subprocess.Popen(
        [sys.executable, str(MANAGE), "demo", *arguments],
        env=env,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watchdog = Timer(SECONDS, demo.terminate)
    watchdog.start()
    try:
        yield demo
    finally:
        watchdog.cancel()
        if demo.poll() is None:
            demo.terminate()
            _rest(demo)


def _find(demo: subprocess.Popen[str], pattern: str) -> str:
    """Read the demo's output up to a line that matches, and return the pattern's group."""
    assert demo.stdout is not None
    seen = []
    for line in demo.stdout:
        seen.append(line)
        if match := re.search(pattern, line.rstrip("\n")):
            return match[1]
    pytest.fail(f"no line matches {pattern!r} in:\n{''.join(seen)}")


def _rest(demo: subprocess.Popen[str]) -> str:
    """Return what the demo still writes until it has ended."""
    assert demo.stdout is not None
    with demo.stdout:
        output = demo.stdout.read()
    demo.wait(SECONDS)
    return output


def _processes(mark: str) -> list[str]:
    """The processes that have the mark in their environment."""
    environments = Path("/proc").glob("[0-9]*/environ")
    return [path.parent.name for path in environments if mark.encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended meanwhile, or belongs to somebody else
        return b""


def _reached_by_ctrl_c(demo: subprocess.Popen[str]) -> list[int]:
    """The processes of the demo's group that do not block SIGINT."""
    reached = []
    for status in Path("/proc").glob("[0-9]*/status"):
        pid = int(status.parent.name)
        with suppress(OSError):  # it has ended meanwhile
            if os.getpgid(pid) == demo.pid:
                fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
                if not int(fields["SigBlk"], 16) & 1 << signal.SIGINT - 1:
                    reached.append(pid)
    return reached


def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0
