"""What becomes of the call in the form while one fills it in; nothing is saved."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.translation import gettext as _

from ...allowlist import check_call
from ...core.exceptions import InvalidScheduleError
from ..form_fields.parameters import error_list
from .call import ARGS, KWARGS, Call


def call_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """The call as inputs and as JSON, and what is wrong with it.

    `func_name` is the function now, `parameters` that which the inputs in the form are for, empty
    if the JSON counts. Only a function on the allow-list is imported.
    """
    may_add = model_admin.has_add_permission(request)
    if not (may_add or model_admin.has_change_permission(request)):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    data = request.POST.dict()
    name = data.get("func_name", "").strip()
    args, kwargs = data.get("args", ""), data.get("kwargs", "")
    sent = Call.sent({**data, "func_name": data.get("parameters", "")})
    if sent is not None and sent.is_changed:
        args, kwargs = sent.args_text, sent.kwargs_text
    shown = Call(name, args, kwargs)
    answer = {
        "html": shown.render(),
        "known": shown.function is not None,
        "function": name if shown.has_inputs else "",
        "args": args,
        "kwargs": kwargs,
        "problem": "" if sent is not None else _problem(shown, args, kwargs),
        "errors": {},
        "missing": [],
    }
    if sent is not None and sent.name == name:
        answer["errors"] = {
            sent.inputs[key].id: error_list(sent.inputs[key].id, sent.errors[key])
            for key in sent.wrong
        }
        answer["missing"] = [key for key in sent.errors if key not in sent.wrong]
    return JsonResponse(answer)


def _problem(call: Call, args: str, kwargs: str) -> str:
    """What is wrong with the JSON of a call."""
    for label, field, text in (
        (_("Arguments"), ARGS, args),
        (_("Keyword arguments"), KWARGS, kwargs),
    ):
        try:
            field.clean(text)
        except ValidationError as error:
            return f"{label}: {error.messages[0]}"
    if call.function is None:
        return ""
    try:
        check_call(call.function, ARGS.clean(args), KWARGS.clean(kwargs))
    except InvalidScheduleError as error:
        return str(error).partition("; it is called as")[0]
    return ""
