"""A shell completes verbs of `rqrcron`, and the names of what there is in Redis."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from django_rediscron.cli.completion import VARIABLE

from .forks import ROOT
from .test_cli import DEAD_PORT, environment
from .test_cli_operations import create

BASH = shutil.which("bash") or ""
needs_bash = pytest.mark.skipif(not BASH, reason="without bash")


@pytest.fixture
def named(connection: Redis) -> None:
    create(connection, "billing:daily", "reports", tags=["money"])
    create(connection, "billing:hourly", tags=["ops:eu"])
    create(connection, "mail")
    create(connection, "the ledger")


@pytest.fixture
def variables(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """The environment of a shell that has `rqrcron`."""
    program = tmp_path / "rqrcron"
    program.write_text(f"#!{sys.executable}\nfrom django_rediscron.cli import main\nmain()\n")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return {**environment(), "PATH": path, "PYTHONPATH": str(ROOT), "REDIS_URL": redis_url}


def completed(variables: dict[str, str], *lines: str) -> list[str]:
    """What an interactive bash makes of lines when Tab is pressed at the end of each."""
    source = asked(variables, "bash_source").stdout
    rc = Path(variables["PATH"].split(os.pathsep)[0], "bashrc")
    rc.write_text(f"PS1=; bind 'set enable-bracketed-paste off'\n{source}\n")
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [BASH, "--noprofile", "--rcfile", str(rc), "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**variables, "TERM": "dumb", "INPUTRC": os.devnull, "HISTFILE": ""},
        cwd=ROOT,
    )
    os.close(theirs)
    try:
        # Ctrl-A goes to the beginning of the line and Ctrl-E to its end: it is printed, not run.
        typed = "".join(f"{line}\t\x01printf '<%s>' \x05\n" for line in lines)
        os.write(ours, f"{typed}exit\n".encode())
        text = b"".join(read(ours)).decode()
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    found = re.findall(r"<rqrcron>((?:<[^<>]*>)*)", text)
    assert len(found) == len(lines), text
    return found


def read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # the shell has ended
            return
        if not chunk:
            return
        yield chunk


LINES = {
    "rqrcron hist": "<history>",
    "rqrcron show ma": "<show><mail>",
    "rqrcron show billing:d": "<show><billing:daily>",
    "rqrcron show mail billing:": "<show><mail><billing:>",
    "rqrcron disable 'billing:h": "<disable><billing:hourly>",
    "rqrcron show 'the l": "<show><the ledger>",
    "rqrcron show b*ly:": "<show><b*ly:>",
    "rqrcron show b*d": "<show><billing:daily>",
    "rqrcron next --queue rep": "<next><--queue><reports>",
    "rqrcron next --queue=rep": "<next><--queue=reports>",
    "rqrcron next --tag ops:": "<next><--tag><ops:eu>",
    "rqrcron info --state err": "<info><--state><error>",
    "rqrcron run --function tests.tasks.e": "<run><--function><tests.tasks.echo>",
    "rqrcron revert ma": "<revert><mail>",
    "rqrcron pause --queue rep": "<pause><--queue><reports>",
}


@pytest.mark.slow
@needs_bash
def test_bash_completes(named: None, variables: dict[str, str]) -> None:
    assert dict(zip(LINES, completed(variables, *LINES), strict=True)) == LINES


@needs_bash
def test_the_server_of_the_command_line_is_asked(
    named: None, variables: dict[str, str], redis_url: str
) -> None:
    without = {**variables, "REDIS_URL": f"redis://127.0.0.1:{DEAD_PORT}"}
    line = f"rqrcron show --url {redis_url} ma"
    assert completed(without, line) == [f"<show><--url><{redis_url}><mail>"]


def asked(
    variables: dict[str, str], instruction: str, *command: str
) -> subprocess.CompletedProcess[str]:
    """What a shell is told."""
    return subprocess.run(
        command or ["rqrcron"],
        env={**variables, VARIABLE: instruction},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )


def words_of(shell: str, *words: str) -> dict[str, str]:
    """How a shell tells that the cursor is at the end of the last word."""
    current = words[-1] if shell == "fish" else str(len(words) - 1)
    return {"COMP_WORDS": "\n".join(words), "COMP_CWORD": current}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_nothing_is_said_if_redis_is_away(shell: str, variables: dict[str, str]) -> None:
    variables["REDIS_URL"] = f"redis://127.0.0.1:{DEAD_PORT}"
    variables |= words_of(shell, "rqrcron", "show", "ma")
    told = asked(variables, f"{shell}_complete")
    assert (told.returncode, told.stdout.strip(), told.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_whole_ids(shell: str, named: None, variables: dict[str, str]) -> None:
    variables |= words_of(shell, "rqrcron", "show", "billing:d")
    told = asked(variables, f"{shell}_complete").stdout
    assert "billing:daily" in told
    assert "hourly" not in told


@pytest.mark.slow
def test_a_project_completes_with_its_own_redis(
    named: None, variables: dict[str, str], redis_url: str
) -> None:
    """As a command of its own, which calls `manage.py rqrcron`."""
    variables |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "REDISCRON_TEST_URL": redis_url}
    variables |= words_of("bash", "rqrcron", "show", "ma")
    command = (sys.executable, "-m", "django", "rqrcron")
    assert asked(variables, "bash_complete", *command).stdout == "plain,mail\n"
    assert "-F _rqrcron_completion rqrcron\n" in asked(variables, "bash_source", *command).stdout
