"""People judge the numbers of the benchmarks; here they only have to run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from .contestants import ROOT
from .measurements import MEASUREMENTS


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("hiredis") is not None, reason="all is measured without hiredis"
)
def test_prints_a_table_of_each_measurement() -> None:
    tiny = ["--own", "--rounds", "1", "--count", "20", "--samples", "10"]
    # a process of its own, for it keeps to one core
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *tiny],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr
    titles = [line for line in run.stdout.splitlines() if line.startswith("### ")]
    assert len(titles) == len(MEASUREMENTS)
    assert run.stdout.count("| django-rediscron") >= len(MEASUREMENTS)
