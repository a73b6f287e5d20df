"""Ingest over HTTP: authenticate, decode, store, answer after the commit."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from accounts.gateways import deliveries
from accounts.gateways.endpoint import FAULT, for_gateways, unavailable
from accounts.models import Gateway
from logs.ingest import batches
from logs.ingest.calls import meeting
from logs.ingest.formats import litellm, native
from logs.models.events import Batch
from routescope.rest.declared import Write, declare_write
from routescope.wire.bodies import read_body


@require_POST
@for_gateways
def usage(request: HttpRequest, gateway: Gateway) -> JsonResponse:
    """Take in records in the native format. Answers as ``_take_in`` and ``for_gateways`` say."""
    return _take_in(request, gateway, native.decode)


@require_POST
@for_gateways
def litellm_callback(request: HttpRequest, gateway: Gateway) -> JsonResponse:
    """Take in what LiteLLM's generic API callback sends. Answers as ``_take_in`` and ``for_gateways`` say.

    Never 429, and nothing here takes long: LiteLLM drops a batch that is refused, and what it logs while it
    waits for the answer.
    """
    return _take_in(request, gateway, litellm.decode, meeting.after_callback)


def _take_in(
    request: HttpRequest,
    gateway: Gateway,
    decode: Callable[[bytes], Batch],
    afterwards: Callable[[Gateway, Batch], None] | None = None,
) -> JsonResponse:
    """Decode, store, and answer after the commit, and after what is to be done with what was stored.

    200 with ``{"accepted", "duplicates", "rejected": [{"index", "request_id", "error"}]}``: a record that
    cannot be kept costs no other one. 503 where some are not kept through a fault of ours; the others are.
    """
    batch = decode(read_body(request))
    outcome = batches.store(gateway, batch)
    if afterwards is not None:
        afterwards(gateway, batch)
    deliveries.took(
        gateway,
        request.path,
        accepted=outcome.accepted,
        duplicates=outcome.duplicates,
        ignored=batch.ignored,
        refused=((rejection.request_id, rejection.error) for rejection in outcome.rejected),
    )
    if outcome.faults:
        return unavailable(FAULT)
    return JsonResponse(
        {
            "accepted": outcome.accepted,
            "duplicates": outcome.duplicates,
            "rejected": [
                {"index": rejection.index, "request_id": rejection.request_id, "error": rejection.error}
                for rejection in outcome.rejected
            ],
        }
    )


declare_write(
    Write(
        "sendUsage",
        "/api/v1/usage",
        "post",
        "Send usage records",
        "For gateways: one record, an array of them, or one JSON object per line. Answers after the commit.",
        "For gateways",
        {"type": ["array", "object"]},
    )
)
