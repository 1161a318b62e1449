"""Few files are entered on the ways that most changes are about."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from tests.forks import run_python
from tests.ways import LIMITS


@pytest.mark.slow
def test_the_three_ways_enter_few_files(connection: Redis) -> None:
    """Whoever finds a shorter way lowers its limit; `python -m tests.ways` prints the files."""
    output = run_python("-m", "tests.ways", "--json", check=True).stdout
    found = json.loads(output.splitlines()[-1])  # below what the scheduler logs
    counts = {name: len(files) for name, files in found.items()}
    assert counts.keys() == LIMITS.keys()
    too_many = {name: found[name] for name in found if counts[name] > LIMITS[name]}
    assert not too_many
