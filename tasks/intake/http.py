"""Tasks over HTTP, for gateways: register them, report on them."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.gateways import deliveries
from accounts.gateways.endpoint import for_gateways
from accounts.models import Gateway
from routescope.rest import kinds
from routescope.rest.declared import Parameter, Write, declare_write
from routescope.wire.bodies import read_body
from tasks.intake import registration, reports
from tasks.intake.registration import Taken
from tasks.models import MAX_ID_BYTES
from tasks.providers.catalogue import catalogue

TASK_ID = Parameter(
    "task_id", kinds.name(MAX_ID_BYTES), "The ID that the client saw, or the task's `id`.", is_path=True
)


@require_http_methods(["POST", "PATCH"])
@for_gateways
def tasks(request: HttpRequest, gateway: Gateway) -> JsonResponse:
    """Register tasks (``POST``) or report on several (``PATCH``): a JSON array, one object, or NDJSON.

    200 after the commit with ``{"accepted", "duplicates", "pending", "rejected": [{"index", "task_id",
    "error"}]}``. ``accepted`` told something new, ``duplicates`` did not (sent again, or late),
    ``pending`` are about tasks that are not registered yet and apply once they are. Errors as
    ``for_gateways``; 413 over 1,000 tasks.
    """
    body = read_body(request)
    known = catalogue()
    registering = request.method == "POST"
    decoded = reports.decode(body, known, registering=registering)
    if registering:
        taken = registration.register(gateway, decoded, known)
    else:
        taken = registration.report(gateway, decoded, known)
    return _answer(request, gateway, taken)


@require_http_methods(["PATCH"])
@for_gateways
def task(request: HttpRequest, gateway: Gateway, task_id: str) -> JsonResponse:
    """Report on one task, by the ID that the client saw. Answers as ``tasks``; 422 where the report is
    refused.
    """
    body = read_body(request)
    known = catalogue()
    decoded = reports.decode(body, known, registering=False, task_id=task_id)
    taken = registration.report(gateway, decoded, known)
    return _answer(request, gateway, taken, status=422 if taken.rejected else 200)


def _answer(request: HttpRequest, gateway: Gateway, taken: Taken, status: int = 200) -> JsonResponse:
    deliveries.took(
        gateway,
        # One task's address is its own; what is counted is the endpoint.
        reverse("api-tasks"),
        accepted=taken.accepted,
        duplicates=taken.duplicates,
        refused=((rejected.task_id, rejected.error) for rejected in taken.rejected),
    )
    return JsonResponse(
        {
            "accepted": taken.accepted,
            "duplicates": taken.duplicates,
            "pending": taken.pending,
            "rejected": [
                {"index": rejected.index, "task_id": rejected.task_id, "error": rejected.error}
                for rejected in taken.rejected
            ],
        },
        status=status,
    )


for _name, _method, _path, _summary in (
    ("registerTasks", "post", "/api/v1/tasks", "Register tasks"),
    ("reportTasks", "patch", "/api/v1/tasks", "Report on tasks"),
    ("reportTask", "patch", "/api/v1/tasks/{task_id}", "Report on one task"),
):
    declare_write(
        Write(
            _name,
            _path,
            _method,
            _summary,
            "For gateways. Answers after the commit.",
            "For gateways",
            {"type": ["array", "object"]},
            (TASK_ID,) if "{" in _path else (),
        )
    )
