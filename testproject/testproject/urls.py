"""The journal at the root, the admin, django-rq's own pages, and metrics."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from journal.views import journal

urlpatterns = [
    path("", journal, name="journal"),
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
    path("rediscron/", include("django_rediscron.urls")),
]
