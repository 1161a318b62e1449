"""Slugs: the names by which Healthchecks and Sentry know what watches a schedule."""

from __future__ import annotations

import hashlib
import re

from ..core.quoting import quoted

_OTHERS = re.compile(r"[^a-z0-9_]+")
_MARK = re.compile(r"-[0-9a-f]{8}")


class Slugs:
    """The slugs of schedules, all of them with this prefix and at most so many characters.

    Raises `ValueError` for a prefix that cannot stand at the beginning of a slug.
    """

    def __init__(self, prefix: str, longest: int) -> None:
        self._prefix, self._longest = prefix, longest
        most = longest // 2
        is_short = isinstance(prefix, str) and len(prefix) <= most
        if not is_short or self.of("a") != f"{prefix}a":
            raise ValueError(
                f"prefix must have at most {most} characters, lower-case letters, digits, _ and "
                f"single -, and begin with a letter or a digit, got {quoted(prefix)}"
            )

    def of(self, id: str) -> str:
        """The id itself if it is a slug: lower-case letters, digits, `_` and single `-`.

        Otherwise what is left of it, and a digest of the id: `Report: daily` and `report-daily` do
        not share one. So does an id that itself ends like one with a digest, and one of digits
        only, which Sentry takes for the number of a monitor.
        """
        whole = self._prefix + id
        slug = _OTHERS.sub("-", whole.lower()).strip("-_")
        is_slug = slug == whole and len(slug) <= self._longest and not slug.isdigit()
        if is_slug and not _MARK.fullmatch(slug[-9:]):
            return slug
        mark = hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:8]
        return f"{slug[: self._longest - 9].rstrip('-_') or 'schedule'}-{mark}"
