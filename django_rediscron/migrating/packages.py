"""The packages of other systems, which are imported only if one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from ..core.quoting import cut
from .found import CannotReadError


def import_needed(module: str, package: str) -> ModuleType:
    """A module of another system. Raises `CannotReadError` with the name of what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise CannotReadError(
            f"{package} is needed to read its schedules (no module {error.name!r}): "
            f"pip install {package}, where this command runs"
        ) from None
    except Exception as error:  # such as one that fits no version of another that is installed
        raise CannotReadError(
            f"{package} cannot be imported: {type(error).__name__}: {cut(error)}"
        ) from None


def import_models(module: str, package: str, app: str) -> ModuleType:
    """The models of an app of the project. Raises `CannotReadError` with what to do."""
    if not _apps_are_ready():
        raise CannotReadError(
            f"the tables of {package} are those of a Django project: "
            f"run it as manage.py rqrcron migrate ..."
        )
    if not import_module("django.apps").apps.is_installed(app):
        raise CannotReadError(
            f"the tables of {package} are not those of this project: add {app!r} to INSTALLED_APPS"
        )
    return import_needed(module, package)


@contextmanager
def reading_tables(package: str) -> Iterator[None]:
    """Turn errors of the database, such as missing tables, into `CannotReadError`."""
    try:
        yield
    except import_module("django.db").DatabaseError as error:
        raise CannotReadError(
            f"the tables of {package} cannot be read: {cut(error)}; see manage.py showmigrations"
        ) from None


def _apps_are_ready() -> bool:
    try:
        return bool(import_module("django.apps").apps.ready)
    except ModuleNotFoundError:
        return False
