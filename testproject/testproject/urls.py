"""The journal at the root, the admin, and django-rq's own pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from journal.views import journal

urlpatterns = [
    path("", journal, name="journal"),
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
]
