"""The files of the setting `FILES`: the schedules that they declare, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings

from ..conf import conf
from ..core import files
from ..core.quoting import quoted_id
from ..core.sensitive import MASK, unmask

if TYPE_CHECKING:
    from ..core.files import Entry, Mistake, ScheduleFile


class DeclaredEntry(NamedTuple):
    """A schedule in such a file."""

    file: str
    """For people: the same wherever a release is unpacked."""
    entry: Entry


def declared_entries() -> tuple[list[DeclaredEntry], list[str]]:
    """What the files declare, and what is wrong; nothing of a file in which anything is wrong."""
    found: list[DeclaredEntry] = []
    faults: list[str] = []
    for given in conf.FILES:
        shown = _shown(given)
        try:
            entries = _read(given).entries.values()
            if mistakes := [mistake for entry in entries for mistake in _masks(entry)]:
                raise files.WrongFileError(mistakes)
            found += [DeclaredEntry(shown, entry) for entry in entries]
        except files.WrongFileError as error:
            faults += [_told(shown, mistake) for mistake in error.mistakes]
        except OSError as error:
            faults.append(f"file {shown} cannot be read: {error.strerror}")
        except ValueError as error:
            faults.append(f"file {shown} cannot be read: {error}")
    return found, faults


def _path(given: str) -> Path:
    return Path(getattr(settings, "BASE_DIR", None) or "", given)


def _shown(given: str) -> str:
    path, base = Path(given), getattr(settings, "BASE_DIR", None)
    if base and path.is_relative_to(base):
        path = path.relative_to(base)
    return path.name if path.is_absolute() else path.as_posix()


def _read(given: str) -> ScheduleFile:
    """Anew if the file was changed: a scheduler reads it again on SIGHUP."""
    path = _path(given)
    state = path.stat()
    return _read_once(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=32)
def _read_once(path: Path, _changed: int, _size: int) -> ScheduleFile:
    return files.read_file(path.read_bytes(), path.name)


def _masks(entry: Entry) -> Iterator[Mistake]:
    for name in files.MASKED:
        try:
            unmask(entry.values.get(name), None)
        except ValueError:
            yield entry.mistake(f"{name} has {MASK}; a declaration needs the value itself", name)


def _told(shown: str, mistake: Mistake) -> str:
    place = f"{shown}:{mistake.place.line}:{mistake.place.column}"
    if mistake.id:
        return f"schedule {quoted_id(mistake.id)}, declared at {place}: {mistake.text}"
    return f"file {place}: {mistake.text}"
