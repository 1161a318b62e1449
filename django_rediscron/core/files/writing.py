"""Schedules as the text of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..schedule.definition import Definition
from .fields import described
from .schema import VERSION
from .yaml_nodes import yaml_text

FORMATS = ("yaml", "json")

HEAD = """\
# Schedules of django-rediscron. "rqrcron import" writes them to Redis; "rqrcron export --schema"
# prints which keywords there are. Keywords that are left out have their defaults.
"""


def file_text(jobs: Iterable[Definition], form: str, *, with_secrets: bool = False) -> str:
    """The same text for the same schedules. Raises ValueError for YAML if there is no PyYAML."""
    schedules = {
        job.id: described(job, with_secrets=with_secrets)
        for job in sorted(jobs, key=lambda job: job.id)
    }
    content: dict[str, Any] = {"version": VERSION, "schedules": schedules}
    if form == "json":
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return HEAD + yaml_text(content)
