"""A schedule as JSON, for programs: what `rqrcron show --json` prints."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from ...cli.story.schedule_page import page_facts
from ...core.exceptions import NoSuchJobError
from ...queues import main_connection


def json_page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """All that is known of it, also if it was deleted; sensitive arguments are masked."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    try:
        facts = page_facts(unquote(object_id), main_connection())
    except NoSuchJobError as error:
        raise Http404(str(error)) from None
    return JsonResponse(facts, json_dumps_params={"indent": 2})
