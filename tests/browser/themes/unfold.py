"""The tests' project with django-unfold."""

from __future__ import annotations

from tests.browser.themes.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = ["unfold", *APPS]
