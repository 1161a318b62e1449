"""The packages of other systems, which are imported only if one is asked for."""

from __future__ import annotations

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


def import_models(module: str, package: str, app: str) -> ModuleType:
    """The models of an app of the project. Raises `CannotReadError` with what to do."""
    if not _apps_are_ready():
        raise CannotReadError(
            f"the tables of {package} are those of a Django project: "
            f"run it as manage.py rqrcron migrate ..."
        )
    try:
        return import_needed(module, package)
    except RuntimeError as error:  # its app is not installed
        raise CannotReadError(
            f"the models of {package} cannot be used: {cut(error)}; add {app!r} to INSTALLED_APPS"
        ) from None


def _apps_are_ready() -> bool:
    try:
        return bool(import_module("django.apps").apps.ready)
    except ModuleNotFoundError:
        return False
