#!/usr/bin/env python
"""Django's command line for the test project."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    # Not setdefault: a settings module left in the caller's environment belongs to another project.
    os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
