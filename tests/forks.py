"""Python programs that start in no time: they are forked from a server that imported everything.

Starting Python, Django and this package takes most of a second of CPU time, and the tests run
hundreds of programs. A forked one has its own arguments, environment, folder, output, exit status
and connections all the same. Use `subprocess` to test what is imported and when, pipes, a signal at
the start and what is read but once, such as `PYTHONHASHSEED` and `RQ_KEY_PREFIX` (`_begin` has the
rest).
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import zoneinfo
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(
    [
        "__main__",
        "django.contrib.admin.options",
        "django.core.cache.backends.locmem",
        "django.core.checks",
        "django.core.management",
        "django.db.backends.sqlite3.base",
        "django.template.loader_tags",
        "django.views.generic",
        "django_rediscron.cli",
        "tests.faults.victims",
    ]
)
"""Nothing that needs settings: those are the program's."""


def run_python(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    timeout: float = 120,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run([sys.executable, *arguments])` would return, with its output as text.

    `arguments` begin with `-m` or `-c`; `env` is the whole environment, this process's by default.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        output.touch()
        errors.touch()
        environment = dict(os.environ if env is None else env)
        told = (arguments, environment, str(cwd), str(output), str(errors))
        process = forks.Process(target=_be_python, args=told)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout, output.read_bytes())
        done = subprocess.CompletedProcess(
            arguments,
            process.exitcode,
            output.read_text(encoding="utf-8"),
            errors.read_text(encoding="utf-8"),
        )
    if check and done.returncode:
        raise AssertionError(f"{arguments} ended with status {done.returncode}:\n{done.stderr}")
    return done


class Program:
    """A program that goes on: what the tests need of `subprocess.Popen`. `arguments` as above."""

    def __init__(self, *arguments: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._output = Path(self._folder.name, "output")
        self._output.touch()
        told = (arguments, dict(os.environ), str(ROOT), *[str(self._output)] * 2)
        self._process = forks.Process(target=_be_python, args=told, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60) -> int:
        """Its exit status, when it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a forked program", timeout, self.output())
        return self._process.exitcode

    def output(self) -> str:
        """All that it wrote until now."""
        return self._output.read_text(encoding="utf-8")

    def close(self) -> None:
        """End it, and forget its output."""
        self.kill()
        self.wait()
        self._folder.cleanup()


def _be_python(
    arguments: tuple[str, ...], environment: dict[str, str], folder: str, output: str, errors: str
) -> None:
    option, what, *rest = arguments
    _begin(environment, folder, output, errors)
    if option == "-m":
        sys.argv = [what, *rest]
        if not hasattr(sys.modules.get(what), "__path__"):
            sys.modules.pop(what, None)  # else Python warns that it is run a second time
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert option == "-c"
        sys.argv = ["-c", *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def _begin(environment: dict[str, str], folder: str, output: str, errors: str) -> None:
    """What Python does at its start."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()
    os.chdir(folder)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [folder, *filter(None, paths)]
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding=encoding, buffering=1, errors="backslashreplace", closefd=False
    )
