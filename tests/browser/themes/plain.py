"""The tests' project with Django's own look, served by a process of its own."""

from __future__ import annotations

from tests.browser.themes.settings import *  # noqa: F403
