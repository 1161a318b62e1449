"""The page that is shown if Redis is unavailable: the reason, and a way to go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from ..queues import main_connection
from ..unreachable import UnreachableError, reaching
from .display import TEMPLATES, page_context

View = TypeVar("View", bound=Callable[..., HttpResponse])

NOT_SENT_AGAIN = ("csrfmiddlewaretoken",)


def showing_outages(view: View) -> View:
    """A view (a method of a ModelAdmin) that shows this page during an outage of Redis.

    The response is rendered here: later, an error of Redis in its template would not be caught.
    """

    @wraps(view)
    def shown(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with reaching(main_connection()):
                response = view(self, request, *args, **kwargs)
                render = getattr(response, "render", None)
                return render() if render else response
        except UnreachableError as error:
            return _outage_page(self, request, str(error))

    return cast(View, shown)


def _outage_page(model_admin: Any, request: HttpRequest, reason: str) -> HttpResponse:
    """The reason, with all that was sent in hidden inputs, so that it can be sent again."""
    sent = None
    if request.method == "POST":
        sent = [
            (name, value)
            for name, values in request.POST.lists()
            if name not in NOT_SENT_AGAIN
            for value in values
        ]
    context = {
        **page_context(model_admin, request, _("Redis does not answer")),
        "reason": reason,
        "sent": sent,
        "back": reverse(f"{model_admin.admin_site.name}:index"),
    }
    return TemplateResponse(request, f"{TEMPLATES}/outage.html", context, status=503).render()
