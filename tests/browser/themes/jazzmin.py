"""The tests' project with django-jazzmin."""

from __future__ import annotations

from tests.browser.themes.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = ["jazzmin", *APPS]
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
