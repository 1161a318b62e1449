"""A short piece of the long run of random faults; see `soak.py`."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from .soak import Soak

pytestmark = pytest.mark.outage

SECONDS = 20


@pytest.mark.slow
def test_random_faults(server_binary: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("REDISCRON_SEED") or random.randrange(1 << 32))
    print(f"REDISCRON_SEED={seed}")
    soak = Soak(server_binary, tmp_path, seed)
    soak.run(SECONDS)
    assert soak.problems == []
