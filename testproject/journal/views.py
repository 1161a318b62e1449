"""The page that shows what is scheduled and what was written."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from redis.exceptions import RedisError

from django_rediscron import get_scheduler

from .models import Entry

NEWEST = 50


def journal(request: HttpRequest) -> HttpResponse:
    """Show the schedules and the newest entries; without Redis, the entries alone."""
    context = {"entries": Entry.objects.all()[:NEWEST], "newest": NEWEST}
    try:
        context["schedules"] = get_scheduler().get_all_jobs()
    except RedisError as error:
        context["redis_error"] = str(error)
    return render(request, "journal/journal.html", context)
