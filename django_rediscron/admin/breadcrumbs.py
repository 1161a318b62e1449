"""What Django's own templates ask of a page of the admin: its title, and the way back from it."""

from __future__ import annotations

from typing import Any

import django
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..models import Schedule


def page_context(
    model_admin: Any, request: HttpRequest, title: str, schedule: Schedule | None = None
) -> dict[str, Any]:
    """The context of a page of ours: of one schedule, or else of several, or none."""
    site, opts = model_admin.admin_site, model_admin.opts
    request.current_app = site.name
    may_look = model_admin.has_view_or_change_permission(request)
    trail = [
        (reverse(f"{site.name}:index"), _("Home")),
        (reverse(f"{site.name}:app_list", args=[opts.app_label]), opts.app_config.verbose_name),
        (_url(site, "changelist") if may_look else None, capfirst(opts.verbose_name_plural)),
    ]
    if schedule is not None:
        url = _url(site, "change", quote(schedule.id)) if may_look else None
        trail.append((url, str(schedule)))
    return {
        **site.each_context(request),
        "title": title,
        "opts": opts,
        "trail": trail,
        "trail_is_list": django.VERSION >= (6, 1),
        "media": model_admin.media,
    }


def _url(site: Any, page: str, *args: str) -> str:
    return reverse(f"{site.name}:django_rediscron_schedule_{page}", args=args)
