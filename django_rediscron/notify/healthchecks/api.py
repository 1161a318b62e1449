"""The Management API of Healthchecks, version 3, as far as it is needed here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..http import RequestFailedError, masked, send

_CHECKS = "/api/v3/checks/"


class Found(NamedTuple):
    """A check as the API has it."""

    code: str
    """Its UUID."""
    is_paused: bool


class ManagementApi:
    """The checks of one project. All methods raise `RequestFailedError`."""

    def __init__(self, url: str, key: str, timeout: float, creating: Lock) -> None:
        self._creating = creating  # see `Pings`
        self._url = url
        self._key = key
        self._timeout = timeout

    def checks(self) -> dict[str, Found]:
        """All checks of the project that have a slug, by that."""
        answer = self._request("GET", _CHECKS)
        listed = answer.get("checks") if isinstance(answer, dict) else None
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise RequestFailedError(f"{masked(self._url)} does not answer with a list of checks")
        return {each["slug"]: _found(each) for each in listed if each.get("slug")}

    def create(self, fields: Mapping[str, Any]) -> Found:
        """Create a check; if there is one with its slug, change that."""
        with self._creating:
            return _found(self._request("POST", _CHECKS, {**fields, "unique": ["slug"]}))

    def update(self, code: str, fields: Mapping[str, Any]) -> None:
        self._request("POST", _CHECKS + code, fields)

    def pause(self, code: str) -> None:
        self._request("POST", f"{_CHECKS}{code}/pause", {})

    def resume(self, code: str) -> None:
        """Let it wait for the next ping; one that is not paused stays as it is."""
        try:
            self._request("POST", f"{_CHECKS}{code}/resume", {})
        except RequestFailedError as error:
            if error.status != 409:
                raise

    def delete(self, code: str) -> None:
        self._request("DELETE", _CHECKS + code)

    def _request(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        headers = {"X-Api-Key": self._key, "Content-Type": "application/json"}
        body = None if fields is None else json.dumps(fields).encode()
        url = self._url + path
        answer = send(method, url, body=body, headers=headers, timeout=self._timeout)
        try:
            return json.loads(answer.body)
        except ValueError:
            raise RequestFailedError(f"{masked(self._url)} does not answer with JSON") from None


def _found(check: Any) -> Found:
    # The UUID is given as the end of URLs, and to read-only keys not at all.
    url = check.get("update_url") if isinstance(check, dict) else None
    if not url:
        raise RequestFailedError("Healthchecks names no check; api_key must be a read-write key")
    return Found(urlsplit(url).path.rpartition("/")[2], check.get("status") == "paused")
