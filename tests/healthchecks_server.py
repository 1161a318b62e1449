"""A stand-in for Healthchecks: both of its APIs as far as they are used, with its checks of input.

Status codes, limits and what pings do are those of github.com/healthchecks/healthchecks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import available_timezones

from tests.http_server import OK, HttpServer, Received, Reply, http_server

PING_KEY, API_KEY = "ping-key-3f2a", "api-key-93bd"
SLUG = re.compile(r"[a-z0-9_-]{1,100}")
_LIMITS = {60: "too small", 31536000: "too large"}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_TERM = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/[1-9]\d*)?")
_SPECIAL = (None, None, re.compile("L"), None, re.compile(r"[0-7](?:L|#[1-5])"))


@dataclass
class Check:
    """A check of the project."""

    slug: str
    code: str = field(default_factory=lambda: str(uuid4()))
    status: str = "new"
    fields: dict[str, Any] = field(default_factory=lambda: {"timeout": 86400, "grace": 3600})
    pings: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, rid and text of each ping; kind `ign` if it was paused."""

    def ping(self, kind: str, rid: str, text: str) -> None:
        if self.status == "paused" and self.fields.get("manual_resume"):
            kind = "ign"
        elif kind in ("success", "fail"):
            self.status = "down" if kind == "fail" else "up"
        self.pings.append((kind, rid, text))

    def change(self, fields: dict[str, Any]) -> None:
        if "schedule" in fields:
            self.fields.pop("timeout", None)
        elif "timeout" in fields:
            self.fields.pop("schedule", None)
        self.fields |= fields

    def to_json(self, url: str) -> dict[str, Any]:
        update_url = f"{url}/api/v3/checks/{self.code}"
        shown = {"slug": self.slug, "status": self.status, "update_url": update_url}
        return {**self.fields, **shown}


class Healthchecks:
    """One project. `writes`: the requests that changed checks, as `create slug` and the like."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.checks: dict[str, Check] = {}
        self.most = 100
        """Checks that the account may have."""
        self.writes: list[str] = []
        self.refuses: Reply | None = None
        """Answered to all, if set."""
        server.reply = self.answer

    @property
    def options(self) -> dict[str, Any]:
        """Of `make`."""
        return {"ping_key": PING_KEY, "api_key": API_KEY, "url": f"{self.server.url}/ping"}

    def by_slug(self, slug: str) -> list[Check]:
        return [check for check in self.checks.values() if check.slug == slug]

    def __getitem__(self, slug: str) -> Check:
        (check,) = self.by_slug(slug)
        return check

    def add(self, check: Check) -> Check:
        self.checks[check.code] = check
        return check

    def answer(self, received: Received) -> Reply:
        if self.refuses is not None:
            return self.refuses
        path = received.path.split("/")
        if path[1] == "ping":
            return self._pinged(received, *path[2:])
        if path[1:4] == ["api", "v3", "checks"]:
            if received.headers.get("x-api-key") != API_KEY:
                return _json(401, {"error": "wrong api key"})
            return self._managed(received, *path[4:])
        return Reply(404, b"not found")

    # The Pinging API

    def _pinged(self, received: Received, key: str, slug: str, signal: str = "") -> Reply:
        kinds = {"": "success", "start": "start", "fail": "fail", "log": "log"}
        if key != PING_KEY or not SLUG.fullmatch(slug) or signal not in kinds:
            return Reply(404, b"not found")
        rid = received.query.get("rid", "")
        if rid and str(UUID(rid)) != rid:
            return Reply(400, b"invalid uuid format")
        found = self.by_slug(slug)
        if len(found) > 1:
            return Reply(409, b"ambiguous slug")
        if not found and received.query.get("create") != "1":
            return Reply(404, b"not found")
        check = found[0] if found else self.add(Check(slug))
        check.ping(kinds[signal], rid, received.body.decode())
        return OK if found else Reply(201, b"Created")

    # The Management API

    def _managed(self, received: Received, code: str, action: str = "") -> Reply:
        fields = json.loads(received.body) if received.body else {}
        problem = _problem(fields)
        if problem:
            return _json(400, {"error": f"json validation error: {problem}"})
        if not code:
            return self._all(received.method, fields)
        check = self.checks.get(code)
        if check is None:
            return Reply(404)
        self.writes.append(f"{action or received.method.lower()} {check.slug}")
        if received.method == "DELETE":
            del self.checks[code]
        elif action == "pause":
            check.status = "paused"
        elif action == "resume":
            if check.status != "paused":
                return Reply(409, b"check is not paused")
            check.status = "new"
        else:
            check.change(fields)
        return _json(200, check.to_json(self.server.url))

    def _all(self, method: str, fields: dict[str, Any]) -> Reply:
        url = self.server.url
        if method == "GET":
            return _json(200, {"checks": [each.to_json(url) for each in self.checks.values()]})
        found = self.by_slug(fields["slug"]) if fields.pop("unique", None) == ["slug"] else []
        if not found and len(self.checks) >= self.most:
            return Reply(403, b"")
        slug = fields.pop("slug", "")
        check = found[0] if found else self.add(Check(slug))
        check.change(fields)
        self.writes.append(f"create {slug}")
        return _json(200 if found else 201, check.to_json(url))


@contextmanager
def healthchecks() -> Iterator[Healthchecks]:
    """A project without checks."""
    with http_server() as server:
        yield Healthchecks(server)


def _json(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _problem(fields: dict[str, Any]) -> str:
    """What Healthchecks would refuse, in its words."""
    for name in ("name", "slug", "tags", "desc", "channels", "schedule", "tz"):
        if not isinstance(fields.get(name, ""), str):
            return f"{name} is not a string"
    for name in ("name", "slug", "schedule"):
        if len(fields.get(name, "")) > 100:
            return f"{name} is too long"
    for name in ("timeout", "grace"):
        value = fields.get(name, 60)
        if type(value) is not int:
            return f"{name} is not a number"
        if not 60 <= value <= 31536000:
            return f"{name} is {_LIMITS[60 if value < 60 else 31536000]}"
    if not SLUG.fullmatch(fields.get("slug", "slug")):
        return "slug does not match pattern"
    if fields.get("tz", "UTC") not in available_timezones():
        return "tz is not a valid timezone"
    if not _is_cron(fields.get("schedule", "* * * * *")):
        return "schedule is not a valid cron or OnCalendar expression"
    return ""


def _is_cron(text: str) -> bool:
    """Whether cronsim reads it; stricter than that, for it knows names."""
    fields = text.split()
    return len(fields) == 5 and all(
        _is_term(term, place) for place, part in enumerate(fields) for term in part.split(",")
    )


def _is_term(term: str, place: int) -> bool:
    special, (low, high) = _SPECIAL[place], _RANGES[place]
    if special is not None and special.fullmatch(term):
        return True
    match = _TERM.fullmatch(term)
    if match is None:
        return False
    first, last = match.groups()
    return low <= int(first or low) <= int(last or first or high) <= high
