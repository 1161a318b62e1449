"""The admin, django-rq's pages that it links to, and the metrics."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("django-rq/", include("django_rq.urls")),
    path("rediscron/", include("django_rediscron.urls")),
]
