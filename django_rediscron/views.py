"""The metrics as a page that Prometheus scrapes."""

from __future__ import annotations

from hmac import compare_digest

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .conf import conf
from .core.exceptions import UnknownQueueError
from .core.monitoring.exposition import negotiate
from .core.monitoring.measurements import read_metrics, read_metrics_of_each
from .queues import get_connection, servers
from .terminal import one_line
from .unreachable import UnreachableError, reaching


@login_not_required  # a scraper is not sent to a form where it would log in
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics of the Redis of `REDISCRON["QUEUE"]`, in the format that the request accepts.

    With the parameter `all`, those of every Redis of `RQ_QUEUES`, whose name is the label `server`;
    of one that cannot be read there is only `rediscron_up`, 0.

    For whoever sends `REDISCRON["METRICS_TOKEN"]` as bearer token, and for staff. Others get status
    401, or 403 if there is no such setting. If the one Redis cannot be read, the status is 503.
    """
    if not (_has_token(request) or _is_staff(request)):
        return _refusal()
    write, content_type = negotiate(request.headers.get("Accept", ""))
    try:
        if "all" in request.GET:
            found = read_metrics_of_each(servers(), conf.METRICS_SCHEDULES)
        else:
            connection = get_connection(conf.QUEUE)
            with reaching(connection):
                found = read_metrics(connection, conf.METRICS_SCHEDULES)
    except (UnknownQueueError, UnreachableError) as error:
        return _line(one_line(str(error)), 503)
    response = HttpResponse(write(found), content_type=content_type)
    patch_vary_headers(response, ("Accept", "Authorization"))
    return response


def _has_token(request: HttpRequest) -> bool:
    """Whether it was sent; how long the comparison takes does not say how much of it is right."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    expected = conf.METRICS_TOKEN
    return (
        bool(expected)
        and scheme.lower() == "bearer"
        and compare_digest(given.strip().encode(errors="replace"), expected.encode())
    )


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)  # a project may have no users
    return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))


def _refusal() -> HttpResponse:
    if not conf.METRICS_TOKEN:
        reason = 'Log in to the admin as staff, or set REDISCRON["METRICS_TOKEN"] for scrapers.'
        return _line(reason, 403)
    response = _line('Send REDISCRON["METRICS_TOKEN"] as bearer token.', 401)
    response["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


def _line(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
