"""The tests' Django project, with queues on two servers and one of them under two addresses."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403
from tests.settings import REDIS_URL

OTHER_URL = os.environ["REDISCRON_TEST_OTHER_URL"]

RQ_QUEUES = {
    "elsewhere": {"URL": OTHER_URL},
    "default": {"URL": REDIS_URL},
    "reports": {"URL": REDIS_URL.replace("127.0.0.1", "localhost")},
}
