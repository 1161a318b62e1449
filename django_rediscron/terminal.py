"""What ids and texts of others may do to a terminal, and what a terminal does to a listing."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

import click

UNSHOWN = 1.0
"""Seconds of work before its progress is shown."""

_Step = TypeVar("_Step")


def one_line(text: str) -> str:
    """The text on one line, with what could steer or disarrange a terminal spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, each column as wide as its widest cell and two blanks apart."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(text + " " * (width - _width(text)) for text, width in cells))
    return lines


def fitted(line: str) -> str:
    """The line cut to the width of the terminal; a pipe or a file gets all of it."""
    line = line.rstrip()
    if sys.stdout is None or not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    if _width(line) <= width:
        return line
    while _width(line) > width - 3:
        line = line[:-1]
    return f"{line}..."


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def with_progress(steps: Iterable[_Step], count: int) -> Iterator[_Step]:
    """The steps of long work: a terminal is shown how many of them are done, after a second."""
    with progress(count) as advance:
        for step in steps:
            yield step
            advance()


@contextmanager
def progress(count: int) -> Iterator[Callable[[], None]]:
    """The same for work whose steps are counted by calls of what it yields."""
    begun, done, bar = time.monotonic(), 0, None
    is_shown = sys.stderr is not None and sys.stderr.isatty()
    with ExitStack() as stack:

        def advance() -> None:
            nonlocal done, bar
            done += 1
            if bar is not None:
                bar.update(1)
            elif is_shown and time.monotonic() - begun > UNSHOWN:
                bar = stack.enter_context(click.progressbar(length=count, file=sys.stderr))
                bar.update(done)

        yield advance


def confirm(question: str) -> None:
    """Ask on a terminal. Raises `click.UsageError` if there is none, and `click.Abort` for no."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Answer with --yes, or see what with --dry-run")
    click.confirm(question, abort=True, err=True)


def take_any_text() -> None:
    """Let stdout print any id: one that the terminal's encoding lacks shall not end the listing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def printing() -> Iterator[None]:
    """Let stdout print any id, and end without an error where the reader of a pipe goes away.

    Other errors of stdout are raised, once.
    """
    take_any_text()
    try:
        yield
        flush()
    except OSError as error:
        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise


def clear() -> None:
    """Clear the screen, if it is one: a pipe or a file gets one listing after the other."""
    click.clear()
    flush()


def flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_stdout() -> None:
    """Send to nowhere what Python would still try to flush, and complain about, when it exits."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
