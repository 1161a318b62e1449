"""A module that takes its time before it cannot be imported."""

import time

time.sleep(0.5)
raise RuntimeError("raised on import, at last")
