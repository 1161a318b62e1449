"""Links to django-rq's pages, wherever they are."""

from __future__ import annotations

from django.conf import settings
from django.urls import NoReverseMatch, reverse

_NAMES = ("admin:django_rq_{}", "django_rq:{}", "rq_{}")
"""In the admin, below an `include` with or without a namespace."""


def job_url(queue_name: str, job_id: str) -> str | None:
    """The page of an RQ job; None where there is none."""
    queues = sorted(getattr(settings, "RQ_QUEUES", None) or {})  # django-rq numbers them so
    if queue_name not in queues:
        return None
    for name in _NAMES:
        try:
            return reverse(name.format("job_detail"), args=[queues.index(queue_name), job_id])
        except NoReverseMatch:
            continue
    return None
