"""Pages that Redis fails: a message and a way on, instead of an error of the server."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from ..query.queryset import connection
from ..unreachable import UnreachableError, reaching
from .breadcrumbs import page_context

View = TypeVar("View", bound=Callable[..., HttpResponse])

KEPT_BACK = ("csrfmiddlewaretoken",)


def answering(view: View) -> View:
    """A view (a method of a ModelAdmin) that says so where Redis does not answer, or refuses.

    What was sent can be sent again from that page, so nothing that was typed is lost. The page is
    made here, for a template that is rendered later would meet Redis outside of this.
    """

    @wraps(view)
    def answered(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with reaching(connection()):
                response = view(self, request, *args, **kwargs)
                render = getattr(response, "render", None)
                return render() if render else response
        except UnreachableError as error:
            return outage_page(self, request, str(error))

    return cast(View, answered)


def outage_page(model_admin: Any, request: HttpRequest, reason: str) -> HttpResponse:
    """The reason, and what was sent, to be sent again."""
    sent = None
    if request.method == "POST":
        sent = [
            (name, value)
            for name, values in request.POST.lists()
            if name not in KEPT_BACK
            for value in values
        ]
    context = {
        **page_context(model_admin, request, _("Redis does not answer")),
        "reason": reason,
        "sent": sent,
        "back": reverse(f"{model_admin.admin_site.name}:index"),
    }
    page = TemplateResponse(
        request, "admin/django_rediscron/schedule/outage.html", context, status=503
    )
    return page.render()
