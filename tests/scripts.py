"""The Lua scripts of the package, to be looked at, and to be changed for a test."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

import django_rediscron
from django_rediscron.core.store.scripts import Script

Replacements = Sequence[tuple[str, str]]
"""Pieces of a script's text, and what to put in their place."""


def all_scripts() -> dict[str, Script]:
    """Those of all modules, by their names in `lua/`."""
    for module in pkgutil.walk_packages(django_rediscron.__path__, "django_rediscron."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    return loaded_scripts()


def loaded_scripts() -> dict[str, Script]:
    """Those of the modules that have been imported."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("django_rediscron."):
            for value in list(vars(module).values()):
                if isinstance(value, Script):
                    assert found.setdefault(value.name, value) is value, f"two {value.name}"
    return found


def replace(
    name: str,
    replacements: Replacements,
    set_attribute: Callable[[Any, str, str], None] = setattr,
) -> None:
    """Change the script of that name, in this process. Fails if a piece is not in it once."""
    script = loaded_scripts()[name]
    text = script.text
    for old, new in replacements:
        assert text.count(old) == 1, f"{name} does not hold this once: {old}"
        text = text.replace(old, new)
    set_attribute(script, "text", text)
