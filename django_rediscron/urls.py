"""The URLs of this app: `path("rediscron/", include("django_rediscron.urls"))`."""

from __future__ import annotations

from django.urls import path

from .views import metrics

app_name = "django_rediscron"
urlpatterns = [path("metrics", metrics, name="metrics")]
