"""Callbacks of providers at ``/hooks/<provider>/``: signed ones are believed, unsigned ones only make us ask.

Anybody may call. What the headers tell is checked before a body is read, and a body is read before it is
taken apart: who has no signature costs next to nothing.
"""

from __future__ import annotations

import logging
from functools import partial

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from routescope.wire import strict_json
from routescope.wire.bodies import BodyError, read_body
from routescope.wire.strict_json import JSON, JSONError
from tasks.intake import early_webhooks, hints, signatures
from tasks.intake.callbacks import take_in
from tasks.intake.published_keys import KeysUnavailableError
from tasks.intake.signatures import CannotTellError, RefusedError
from tasks.models import AsyncTask, WebhookDelivery
from tasks.providers.catalogue import catalogue
from tasks.providers.definition import Definition
from tasks.providers.reading import find_text
from tasks.providers.search import ReadingError

logger = logging.getLogger(__name__)

MAX_SIGNED_BYTES = 1024 * 1024
MAX_UNSIGNED_BYTES = 256 * 1024
"""An unsigned callback need only name its task."""
RETRY_AFTER_SECONDS = 60
_MOST_OF_ONE_ID = 20


@csrf_exempt
@require_POST
def receive(request: HttpRequest, platform: str) -> JsonResponse:
    """Take a provider's callback in.

    200 once it is committed, also where it says nothing new, and whatever task an unsigned one names; 401
    where the signature does not hold or is too old, 409 for a delivery that was taken in before, 404 for a
    provider that sends none, 400, 413 or 415 for a body that cannot be taken, 503 with ``Retry-After`` while
    it cannot be told or stored. Refusals are logged.
    """
    try:
        definition = catalogue().by_slug.get(platform)
        if definition is None:
            return JsonResponse({"error": "There is no such provider."}, status=404)
        return _received(request, definition)
    except BodyError as error:
        return JsonResponse({"error": str(error)}, status=error.status)
    except JSONError as error:
        return JsonResponse({"error": f"The body is not JSON that is taken. {error}"}, status=400)
    except RefusedError as error:
        logger.warning("A webhook of %s was refused: %s", platform, error)
        return JsonResponse({"error": "The signature does not hold."}, status=401)
    except (KeysUnavailableError, CannotTellError) as error:
        logger.error("A webhook of %s cannot be checked: %s", platform, error)
        return _later("It cannot be told now whether the signature holds; send it again.")
    except (OperationalError, InterfaceError):
        logger.exception(
            "A webhook of %s could not be stored; the provider is asked to send it again", platform
        )
        return _later("The database cannot be reached; send it again.")


def _received(request: HttpRequest, definition: Definition) -> JsonResponse:
    # No provider packs its callbacks, and unpacking is work that a stranger could ask for.
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise BodyError(415, "A callback is not compressed: send it as it is.")
    if definition.webhook.scheme == "none":
        body = _body(request, MAX_UNSIGNED_BYTES)
        # Whoever it was: nothing more is believed, and the answer tells nothing of what there is.
        hints.keep(definition.slug, _named(definition, strict_json.decode(body)))
        return JsonResponse({"received": True})
    signatures.check_headers(definition, request.headers)
    body = _body(request, MAX_SIGNED_BYTES)
    delivery = signatures.verified(definition, request.headers, body)
    document = strict_json.decode(body)
    name = _named(definition, document)
    with transaction.atomic():
        _, is_new = WebhookDelivery.objects.get_or_create(platform=definition.slug, delivery_id=delivery.id)
        if not is_new:
            logger.warning(
                "A webhook of %s was refused: %s was delivered before", definition.slug, delivery.id
            )
            return JsonResponse({"error": "This delivery was taken in before."}, status=409)
        found = _tasks(definition, name, delivery.gateway_id)
        for task in found:
            take_in(task, document, delivery, definition=definition)
        if not found and name:
            early_webhooks.keep(definition.slug, name, document, delivery)
    if not found and name:
        # Registered in this very moment? Its registration may have looked for us before we were there.
        found = _tasks(definition, name, delivery.gateway_id)
        early_webhooks.apply_to(found, partial(take_in, definition=definition))
    return JsonResponse({"tasks": len(found)})


def _body(request: HttpRequest, limit: int) -> bytes:
    try:
        return read_body(request, limit)
    except BodyError as error:
        if error.status != 413:
            raise
        raise BodyError(413, f"A callback has at most {limit // 1024:,} KiB here.") from error


def _named(definition: Definition, document: JSON) -> str:
    """Return the provider's task ID that a callback names; nothing where it names none."""
    try:
        return find_text(definition.webhook.task_id, document)
    except ReadingError as error:
        logger.error("The definition of %s: %s", definition.slug, error)
        return ""


def _tasks(definition: Definition, name: str, gateway_id: int | None) -> list[AsyncTask]:
    if not name:
        return []
    rows = AsyncTask.objects.filter(provider_task_id=name, platform=definition.slug)
    if gateway_id is not None:
        rows = rows.filter(gateway_id=gateway_id)
    # In one order: two deliveries about the same tasks wait for each other instead of deadlocking.
    return list(rows.order_by("pk")[:_MOST_OF_ONE_ID])


def _later(message: str) -> JsonResponse:
    answer = JsonResponse({"error": message}, status=503)
    answer["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
