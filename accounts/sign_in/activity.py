"""When a session was last seen, and from where: for the person's list of sessions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], HttpResponse]

EVERY = 60.0
"""Seconds after which a session's activity is written down again."""
_MOST = 10_000
"""Sessions that a process remembers."""


def session_activity(get_response: Handler) -> Handler:
    """Write down that a session is in use, once a minute and whenever it comes from elsewhere.

    Stands in for allauth's `UserSessionsMiddleware`, which does it with five statements at every request.
    """
    written: OrderedDict[tuple[str, int], tuple[str, str, float]] = OrderedDict()

    def middleware(request: HttpRequest) -> HttpResponse:
        key = request.session.session_key
        if key and request.user.is_authenticated:
            session = (key, request.user.pk)
            address, agent = get_adapter().get_client_ip(request), request.headers.get("User-Agent", "")
            before = written.get(session)
            if before is None or before[:2] != (address, agent) or monotonic() - before[2] > EVERY:
                UserSession.objects.create_from_request(request)
                written[session] = (address, agent, monotonic())
                written.move_to_end(session)
                if len(written) > _MOST:
                    written.popitem(last=False)
        return get_response(request)

    return middleware
