"""What every page of the console needs: the way around it, and how it should look."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NotRequired, TypedDict

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise

from routescope.contracts import navigation
from routescope.web import notices
from routescope.web.notices import NoticeOnPage

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"


class NavigationItem(TypedDict):
    label: str | Promise
    url: str
    icon: str
    current: bool


class ConsoleContext(TypedDict):
    frame: str
    navigation: list[NavigationItem]
    personal_navigation: list[NavigationItem]
    theme: str
    sign_on_name: str
    password_sign_in: bool
    admin_url: NotRequired[str]
    seen_as: NotRequired[object | None]
    work_notice: NotRequired[Callable[[], NoticeOnPage]]


def console(request: HttpRequest) -> ConsoleContext:
    """Give templates the ways around and in: navigation, ``admin_url`` to staff, and how people sign in.

    ``work_notice`` is looked up by the templates that show it: a part of a page asks for none.
    ``seen_as`` is as whom somebody else sees the page: then the ways lead to that person's pages alone.
    ``frame`` is the template that an error stands in: the console's for people signed in, and for htmx none.
    ``sign_on_name`` is what the OpenID provider is called, empty where there is none.
    """
    sign_on_name = settings.OIDC.name if settings.OIDC else ""
    # An error before the authentication middleware renders a page too.
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {
            "frame": _frame(request, signed_in=False),
            "navigation": [],
            "personal_navigation": [],
            "theme": _theme(request.COOKIES.get(THEME_COOKIE)),
            "sign_on_name": sign_on_name,
            "password_sign_in": settings.PASSWORD_SIGN_IN,
        }
    seen_as = getattr(request, "seen_as", None)
    query = getattr(request, "scope_query", "")
    return {
        "frame": _frame(request, signed_in=True),
        "navigation": _items(request.path, personal=False, query=query),
        "personal_navigation": _items(request.path, personal=True, query=query),
        "theme": _theme(user.theme),
        "sign_on_name": sign_on_name,
        "password_sign_in": settings.PASSWORD_SIGN_IN,
        "admin_url": _url("admin:index") if user.is_staff else "",
        "seen_as": seen_as,
        "work_notice": partial(notices.on_page, request.get_full_path()),
    }


def _frame(request: HttpRequest, *, signed_in: bool) -> str:
    # An error may come before the middleware that tells htmx's requests.
    if getattr(request, "htmx", None):
        return "part.html"
    return "console.html" if signed_in else "plain.html"


def _theme(name: str | None) -> str:
    return name if name in THEMES else "system"


def _items(path: str, *, personal: bool, query: str = "") -> list[NavigationItem]:
    return [
        {
            "label": entry.label,
            "url": f"{url}{query}",
            "icon": entry.icon,
            "current": path.startswith(entry.sections),
        }
        for entry in navigation.registered()
        if entry.is_personal == personal
        and (entry.shows_others or not query)
        and (url := _url(entry.url_name))
    ]


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
