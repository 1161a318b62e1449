"""Forms that are larger than Django accepts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from .breadcrumbs import page_context

View = TypeVar("View", bound=Callable[..., HttpResponse])


def accepting_large_forms(view: View) -> View:
    """A view (a method of a ModelAdmin) that says so where a form is too large, not only "400".

    Django's middleware looks for the token in the form, and so would fail before the view. Here the
    form is read first, and then the view is protected as ever.
    """

    @csrf_exempt
    @wraps(view)
    def accepted(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            _ = request.POST
        except RequestDataTooBig:
            return _too_large(self, request)
        return csrf_protect(partial(view, self))(request, *args, **kwargs)

    return cast(View, accepted)


def _too_large(model_admin: Any, request: HttpRequest) -> HttpResponse:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    context = {
        **page_context(model_admin, request, _("The form is too large")),
        "limit": filesizeformat(limit),
    }
    page = "admin/django_rediscron/schedule/too_large.html"
    return TemplateResponse(request, page, context, status=413)
