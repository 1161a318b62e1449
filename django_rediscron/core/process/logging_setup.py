"""Where log lines go in a process that configured no logging."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.logutils import setup_loghandlers

PACKAGE_LOGGER = "django_rediscron"
RQ_LOGGER = "rq.cron"


def set_up_logging(level: str | int) -> None:
    """Show log lines in a process that configured no logging, as RQ does; never in another."""
    logger = logging.getLogger(PACKAGE_LOGGER)
    if not logger.hasHandlers():
        setup_loghandlers(
            level=level,
            name=PACKAGE_LOGGER,
            log_format=DEFAULT_LOGGING_FORMAT,
            date_format=DEFAULT_LOGGING_DATE_FORMAT,
        )
        for handler in logger.handlers:
            stream = getattr(handler, "stream", None)
            if isinstance(stream, io.TextIOWrapper):
                # Ids that the encoding of stdout lacks are written with escapes, as on stderr.
                stream.reconfigure(errors="backslashreplace")


@contextmanager
def handlers_kept(logger: logging.Logger) -> Iterator[None]:
    """Undo that RQ gives its own logger a handler if it has none; ours has one."""
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before
