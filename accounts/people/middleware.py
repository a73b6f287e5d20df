"""Middleware of accounts."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from accounts.people.languages import offered
from accounts.people.time_zones import zone_of

Handler = Callable[[HttpRequest], HttpResponse]


def preferences(get_response: Handler) -> Handler:
    """Serve a signed-in person in their own time zone and language.

    Without them: UTC, and the language the browser asks for (LocaleMiddleware).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        language = user.language if user.is_authenticated else translation.get_language()
        if language not in offered():
            # Django's own catalogue would otherwise translate a few words of each page.
            language = settings.LANGUAGE_CODE
        translation.activate(language)
        request.LANGUAGE_CODE = language
        with timezone.override(zone_of(user) if user.is_authenticated else None):
            return get_response(request)

    return middleware
