"""The list refreshes itself: what changed in the rows that it shows, as JSON."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from ..models import Schedule
from ..query.queryset import connection
from ..unreachable import UnreachableError, reaching
from .changelist import banner
from .changelist.columns import CHANGING, ScheduleColumns
from .lastruns import with_last_runs

MOST_ROWS = 500


class ScheduleRefresh(ScheduleColumns):
    """A view that changes nothing; it is asked with POST, for the ids of a page fill a long URL."""

    def refresh_view(self, request: HttpRequest) -> JsonResponse:
        """Cells by id and column, and the banner; `gone` for ids that are not there any more."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        ids = request.POST.getlist("id")[:MOST_ROWS]
        try:
            with reaching(connection()):
                found = self.get_queryset(request).filter(pk__in=ids)
                rows = {obj.id: self._cells(obj) for obj in with_last_runs(found)}
        except UnreachableError as error:
            told = banner.render(banner.unreachable(str(error)))
            return JsonResponse({"banner": told, "rows": {}, "gone": []}, status=503)
        return JsonResponse(
            {
                "banner": banner.render(banner.read_banner()),
                "rows": rows,
                "gone": [id for id in ids if id not in rows],
                "goneText": _("deleted"),
            }
        )

    def _cells(self, obj: Schedule) -> dict[str, str]:
        return {name: getattr(self, name)(obj) for name in CHANGING}
