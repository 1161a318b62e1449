"""A fixture for projects that test with pytest, named as plugin in their `conftest.py`."""

from __future__ import annotations

import pytest

from .testing import DeclaredSchedules


@pytest.fixture
def declared_schedules() -> DeclaredSchedules:
    """What the project declares, on a clock that begins now and that only the test moves."""
    return DeclaredSchedules()
