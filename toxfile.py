"""Lets tox find the Python versions that pyenv, or a tool like it, keeps side by side.

Such a tool puts only the selected versions on PATH, and tox looks nowhere else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# One directory holds one version. Look beside the Python that runs tox, and where pyenv keeps them.
_stores = {
    Path(sys.base_prefix).parent,
    Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions",
}
_pythons = (python for store in _stores for python in sorted(store.glob("*/bin/python3")))
os.environ.setdefault("TOX_DISCOVER", ";".join(map(str, _pythons)))
