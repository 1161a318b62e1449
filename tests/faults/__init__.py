"""Real processes and a real server, and a proxy between them that does harm at a chosen moment."""

import pytest

pytest.register_assert_rewrite(
    "tests.faults.passes", "tests.faults.schedulers", "tests.faults.world"
)
