"""The options of a schedule as fields of its hash."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from rq import Retry

from ..exceptions import InvalidScheduleError
from ..quoting import cut, quoted
from ..timing.cron_times import utc_text
from .option_checks import CHECKS
from .options import JOB_DEFAULTS, TIME_DEFAULTS
from .texts import dump_json, dump_number, parse_flag, parse_number, parse_time


class Field(NamedTuple):
    """An optional field of the definition: it stands in the hash unless it has its default.

    Adding one takes a line in `OPTIONS` and its check in `option_values.py`.
    """

    name: str
    dump: Callable[[Any], str]
    load: Callable[[str], Any]
    """Raises ValueError for a text that is none; `CHECKS` judges what it returns."""

    def text(self, value: Any) -> str | None:
        """The text of a value, None for the default."""
        return None if value == DEFAULTS[self.name] else self.dump(value)

    def value(self, text: str) -> Any:
        """What the hash says. Raises `InvalidScheduleError`."""
        try:
            loaded = self.load(text)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidScheduleError(
                f"field {self.name!r} cannot be read: {cut(error)}: {quoted(text)}"
            ) from None
        return CHECKS[self.name](self.name, loaded)


def dump_retry(retry: Retry) -> str:
    told: dict[str, Any] = {"max": retry.max, "intervals": retry.intervals}
    if getattr(retry, "enqueue_at_front", False):
        told["enqueue_at_front"] = True
    return dump_json(told)


DEFAULTS = {**TIME_DEFAULTS, **JOB_DEFAULTS}


OPTIONS = {
    field.name: field
    for field in (
        Field("timezone", str, str),
        Field("start_at", utc_text, parse_time),
        Field("end_at", utc_text, parse_time),
        Field("max_runs", str, int),
        Field("jitter", dump_number, parse_number),
        Field("misfire_grace", dump_number, parse_number),
        Field("catch_up", str, str),
        Field("catch_up_limit", str, int),
        Field("overlap", str, str),
        Field("retry", dump_retry, json.loads),
        Field("on_success", str, str),
        Field("on_failure", str, str),
        Field("on_stopped", str, str),
        Field("at_front", lambda value: str(int(value)), parse_flag),
        Field("description", str, str),
    )
}
