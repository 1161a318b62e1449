"""Addresses of pages of the admin, for texts that are read elsewhere."""

from __future__ import annotations

import logging
from contextlib import suppress
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, get_resolver, get_script_prefix, reverse

from ..core.quoting import quoted

logger = logging.getLogger(__name__)

_PAGES = "django_rediscron_schedule"


def check_site(site: object) -> str:
    """The option `site` of a receiver: an address such as `https://example.com`, or empty.

    Raises ValueError for anything else.
    """
    if site == "":
        return ""
    address = urlsplit(site) if isinstance(site, str) else None
    if address is None or address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(
            f"site must be the address of this site, such as 'https://example.com', "
            f"got {quoted(site)}"
        )
    return str(site).rstrip("/")


def schedule_link(id: str, site: str = "") -> str:
    """The address of a schedule's page in the admin; empty if there is no admin of schedules.

    `site`: where this project is to be found, as `address` has it.
    """
    path = schedule_path(id)
    return f"{address(site)}{path}" if path else ""


def list_link(site: str = "") -> str:
    """The address of the list of schedules in the admin, as `schedule_link` has it."""
    path = list_path()
    return f"{address(site)}{path}" if path else ""


def address(site: str = "") -> str:
    """Where this project is to be found: `site`, such as `https://example.com`, if it is given.

    Otherwise that of `django.contrib.sites`, which may ask the database. Empty if it is not known.
    """
    if site or not apps.ready or not apps.is_installed("django.contrib.sites"):
        return site
    try:
        return f"https://{apps.get_model('sites', 'Site').objects.get_current().domain}"
    except Exception as error:  # of the database, or of SITE_ID
        logger.warning("Links to the admin have no host: %s: %s", type(error).__name__, error)
        return ""


def schedule_path(id: str) -> str:
    """The path of a schedule's page in the admin; empty if there is no admin of schedules."""
    return _path("change", quote(id))


def list_path() -> str:
    """The path of the list of schedules, as `schedule_path` has it."""
    return _path("changelist")


def _path(page: str, *args: str) -> str:
    if not apps.ready:  # in a program without Django
        return ""
    try:
        for site in _admin_sites():
            with suppress(NoReverseMatch):
                return _script_name() + reverse(f"{site}:{_PAGES}_{page}", args=args)
    except Exception as error:  # of the project's URLconf
        logger.warning("There are no links to the admin: %s: %s", type(error).__name__, error)
    return ""


def _admin_sites() -> list[str]:
    """The names under which the URLconf includes admin sites, Django's own first."""
    names: list[str] = get_resolver().app_dict.get("admin", [])
    return sorted(names, key=lambda name: name != "admin")


def _script_name() -> str:
    """Under what `FORCE_SCRIPT_NAME` puts all addresses.

    Django has it as the prefix of `reverse` in the thread that set Django up, and in no other.
    """
    name = settings.FORCE_SCRIPT_NAME or ""
    return name.rstrip("/") if get_script_prefix() == "/" else ""
