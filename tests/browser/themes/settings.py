"""What the projects with themes have in common."""

from __future__ import annotations

from tests.settings import *  # noqa: F403

DEBUG = True  # so that it serves the files of the theme
