"""Functions that an application lets people schedule, and some that it does not."""

from __future__ import annotations

import os
from os import system
from typing import Any

from django_rq import job


@job
def build_report(name: str, *, pages: int = 1) -> str:
    """Build one report."""
    return f"{name}: {pages}"


@job("reports")
def send_report(address: str) -> str:
    """Send one report."""
    return address


def undecorated(*args: Any) -> None:
    """May be named by a setting only."""


def _private() -> None: ...


class Mailer:
    """Functions of a class."""

    @staticmethod
    def send() -> None: ...


imported = (os, system)
