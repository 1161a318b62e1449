"""The list of deleted schedules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from redis import Redis

from ...core.story.gone import DeletedSchedule, count_deleted, read_deleted
from ...queues import main_connection
from .. import log
from ..display import TEMPLATES, page_context, page_url, time_tag

PER_PAGE = 50


@dataclass(frozen=True)
class Row:
    """A deleted schedule as the list shows it."""

    deleted: DeletedSchedule
    url: str
    """The page of what is on record of it."""

    @property
    def time(self) -> SafeString | str:
        return time_tag(self.deleted.at)

    @property
    def actor(self) -> str:
        return log.actor_name(self.deleted.change) if self.deleted.change else ""

    @property
    def reason(self) -> str:
        return self.deleted.change.reason if self.deleted.change else ""


class _Deleted:
    """All of them, of which Django's Paginator reads only the page that is shown."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection

    def count(self) -> int:
        return count_deleted(self._connection)

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, part: slice) -> list[DeletedSchedule]:
        return read_deleted(self._connection, part.start, part.stop - 1)


def deleted_list_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Who deleted which schedule when, the latest first."""
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    found: Any = _Deleted(main_connection())
    page: Page[DeletedSchedule] = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        **page_context(model_admin, request, _("Deleted schedules")),
        "rows": [Row(each, page_url(model_admin, "deleted", each.id)) for each in page],
        "page": page,
        "pages": list(_links(page)),
    }
    return TemplateResponse(request, f"{TEMPLATES}/deleted_list.html", context)


def _links(page: Page[DeletedSchedule]) -> Iterable[tuple[str, str | None]]:
    """The pages: a number and its address, which the current one and gaps lack."""
    for number in page.paginator.get_elided_page_range(page.number):
        is_link = number not in (page.number, page.paginator.ELLIPSIS)
        yield str(number), f"?page={number}" if is_link else None
