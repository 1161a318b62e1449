"""The slug of each schedule's monitor, by which Sentry knows it."""

from __future__ import annotations

import hashlib
import re

from ...core.quoting import quoted

LONGEST_SLUG = 50
"""Characters that Sentry keeps."""

LONGEST_PREFIX = 20

_OTHERS = re.compile(r"[^a-z0-9_]+")
_MARK = re.compile(r"-[0-9a-f]{8}")


def slug_of(id: str, prefix: str = "") -> str:
    """The id itself if Sentry would keep it: lower-case letters, digits, `_` and single `-`.

    Otherwise what is left of it, and a digest of the id: `Report: daily` and `report-daily` do not
    share a monitor. So does an id that itself ends like one with a digest, and one of digits only,
    which Sentry takes for the number of a monitor.
    """
    whole = prefix + id
    slug = _OTHERS.sub("-", whole.lower()).strip("-_")
    is_kept = slug == whole and len(slug) <= LONGEST_SLUG and not slug.isdigit()
    if is_kept and not _MARK.fullmatch(slug[-9:]):
        return slug
    mark = hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:8]
    return f"{slug[: LONGEST_SLUG - 9].rstrip('-_') or 'schedule'}-{mark}"


def check_prefix(prefix: object) -> str:
    """Raises ValueError for what Sentry would not keep at the beginning of a slug."""
    is_short = isinstance(prefix, str) and len(prefix) <= LONGEST_PREFIX
    if is_short and slug_of("a", str(prefix)) == f"{prefix}a":
        return str(prefix)
    raise ValueError(
        f"prefix must have at most {LONGEST_PREFIX} characters, lower-case letters, digits, _ and "
        f"single -, and begin with a letter or a digit, got {quoted(prefix)}"
    )
