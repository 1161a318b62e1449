"""A module that takes longer to fail than the shortest lock lives."""

import time

time.sleep(1.5)
raise RuntimeError("raised on import, at long last")
