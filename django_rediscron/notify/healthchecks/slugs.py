"""The slug of each schedule's check, by which Healthchecks knows it."""

from __future__ import annotations

import hashlib
import re

LONGEST_SLUG = 100
"""Characters that Healthchecks accepts."""

_OTHERS = re.compile(r"[^a-z0-9_]+")
_IS_SLUG = re.compile(r"[a-z0-9_-]+")
_MARK = re.compile(r"-[0-9a-f]{8}")


def slug_of(id: str, prefix: str = "") -> str:
    """The id itself if it is a slug: lower-case letters, digits, `-` and `_`.

    Otherwise what is left of it, and a digest of the id: `Report: daily` and `report-daily` do not
    share a check. So does an id that itself ends like one with a digest.
    """
    slug = prefix + id
    if _IS_SLUG.fullmatch(slug) and len(slug) <= LONGEST_SLUG and not _MARK.fullmatch(slug[-9:]):
        return slug
    mark = f"-{hashlib.sha256(id.encode(errors='replace')).hexdigest()[:8]}"
    plain = prefix + _OTHERS.sub("-", id.lower()).strip("-")
    return plain[: LONGEST_SLUG - len(mark)].rstrip("-") + mark


def check_prefix(prefix: object) -> str:
    """Raises ValueError for what cannot stand at the beginning of a slug."""
    is_short = isinstance(prefix, str) and len(prefix) <= LONGEST_SLUG // 2
    if is_short and _IS_SLUG.fullmatch(f"{prefix}-"):
        return str(prefix)
    raise ValueError(
        f"prefix must have at most {LONGEST_SLUG // 2} characters, only a-z, 0-9, - and _, "
        f"got {prefix!r:.80}"
    )
