"""What is shown to one person stays with them: no cache, on their machine or on the way, keeps it."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

Handler = Callable[[HttpRequest], HttpResponse]


def private_pages(get_response: Handler) -> Handler:
    """Mark whatever is answered to somebody with a session ``no-store``, but for what says it is public."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = settings.SESSION_COOKIE_NAME
        is_public = "public" in response.get("Cache-Control", "")
        if not is_public and (session in request.COOKIES or session in response.cookies):
            patch_cache_control(response, private=True, no_store=True)
        return response

    return middleware
