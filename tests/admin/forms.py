"""Forms as a browser would fill and send them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpResponse
from django.test import Client

from .conftest import LIST

ADD = f"{LIST}add/"


def change_url(id: str) -> str:
    return f"{LIST}{quote(id)}/change/"


class _Inputs(HTMLParser):
    """What a browser would send of the form of a schedule, as it is loaded."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._inside = False
        self._select: str | None = None
        self._textarea: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = dict(given)
        name = attributes.get("name") or ""
        if tag == "form":
            self._inside = attributes.get("id") == "schedule_form"
        if not self._inside:
            return
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in attributes or self._select not in self.values:
                self.values[self._select] = attributes.get("value") or ""
        elif tag == "textarea":
            self._textarea = name
            self.values[name] = ""
        elif tag == "input" and name:
            kind = attributes.get("type")
            sent = "checked" in attributes if kind == "checkbox" else kind != "submit"
            if sent:
                self.values[name] = attributes.get("value") or ("on" if kind == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea:
            # a browser leaves out the first newline
            self.values[self._textarea] += data.removeprefix("\n")


def load(client: Client, url: str) -> dict[str, str]:
    """What is in the form of a page."""
    response = client.get(url)
    assert response.status_code == 200, response
    return inputs(response)


def inputs(response: HttpResponse) -> dict[str, str]:
    """What is in the form of this page."""
    return _Inputs(response.text).values


def send(client: Client, url: str, values: dict[str, str], **changes: Any) -> HttpResponse:
    """Send a form with these changes; None leaves a value out."""
    values = {**values, **changes}
    sent = {name: value for name, value in values.items() if value is not None}
    return client.post(url, {**sent, "_save": "Save"})


def errors(response: HttpResponse) -> dict[str, list[str]]:
    """The errors by field of a form that came back."""
    assert response.status_code == 200, response
    form = response.context["adminform"].form
    return {name: [str(each) for each in found] for name, found in form.errors.items()}


def messages(response: HttpResponse) -> list[str]:
    """What the user is told on the next page."""
    return [str(message) for message in response.wsgi_request._messages]
