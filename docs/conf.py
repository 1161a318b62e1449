"""How Sphinx builds the documentation: `tox run -e docs`."""

from __future__ import annotations

from importlib.metadata import version as installed_version

import django
from django.conf import settings

# The Django layer is imported for its docstrings. Nothing connects to this address.
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django_rq", "django_rediscron"],
    RQ_QUEUES={"default": {"URL": "redis://127.0.0.1:6379/0"}},
)
django.setup()

project = "django-rediscron"
author = "django-rediscron contributors"
project_copyright = f"2026, {author}"
version = release = installed_version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
default_role = "code"  # a single backtick in a docstring is code
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
myst_heading_anchors = 3

html_theme = "alabaster"
html_theme_options = {"description": "Recurring RQ jobs for Django that live in Redis"}
