"""What templates of other packages' pages show of schedules."""

from __future__ import annotations

from contextlib import suppress

from django import template
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.utils import quote
from django.template import RequestContext
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from redis.exceptions import RedisError
from rq.job import Job

from django_rediscron.core import current_occurrence
from django_rediscron.models import Schedule

register = template.Library()


@register.simple_tag(takes_context=True)
def schedule_link(context: RequestContext, job: Job) -> SafeString | str:
    """A link to the schedule that enqueued an RQ job; empty if none did, or for who may not see it.

    Takes one round trip to Redis.
    """
    with suppress(NotRegistered, NoReverseMatch, RedisError):
        model_admin = admin.site.get_model_admin(Schedule)
        if model_admin.has_view_permission(context.request) and (whose := current_occurrence(job)):
            id = whose.schedule_id
            url = reverse("admin:django_rediscron_schedule_change", args=[quote(id)])
            return format_html('<a href="{}">{}</a>', url, id)
    return ""
